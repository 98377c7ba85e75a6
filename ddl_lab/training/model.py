"""The article's network, and every model's parameters and gradient as one flat tensor.

A model is *tied* when its parameters are views, side by side, of one flat float32 tensor of shape
(P,): then one message carries the whole model and one operation updates it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from ..ranges import check_whole
from .buffers import joined
from .shards import Samples

INPUTS = 784  # 28 * 28 pixels
_FLAT = "_flat_parameters"  # a plain attribute, so that any pickler carries it with the model


def make_model(
    seed: int, outputs: int = 1, *, hidden: int = 256, device: str | torch.device = "cpu"
) -> nn.Sequential:
    """Return the network 784 -> hidden -> ReLU -> outputs, tied; it maps (b, 784) to logits (b, outputs).

    Weights and biases come from U(-k, k), k = 1 / sqrt(fan-in), as nn.Linear draws them, but from a
    generator of their own, on the CPU: the same ``seed`` gives the same model on every node and
    device, and the global random state stays as it was.
    Raises TypeError and ValueError for a ``seed``, ``outputs`` or ``hidden`` that isn't a whole number in
    range.
    """
    for name, value, least in (("seed", seed, 0), ("outputs", outputs, 1), ("hidden", hidden, 1)):
        check_whole("make_model", name, value, least, bits=63)
    flat = _drawn(seed, hidden, outputs).to(device, copy=True)
    sizes = [hidden * INPUTS, hidden, outputs * hidden, outputs]
    weight, bias, weight_2, bias_2 = flat.split(sizes)
    first = _linear(weight.view(hidden, INPUTS), bias)
    model = nn.Sequential(first, nn.ReLU(), _linear(weight_2.view(outputs, hidden), bias_2))
    setattr(model, _FLAT, flat)
    return model


@lru_cache(maxsize=4)
def _drawn(seed: int, hidden: int, outputs: int) -> torch.Tensor:
    """All initial values, layer by layer, float32 (P,): to copy, as many nodes begin with the same."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for fan_in, fan_out in (INPUTS, hidden), (hidden, outputs):
        bound = 1 / math.sqrt(fan_in)
        for size in (fan_out * fan_in, fan_out):
            parts.append(torch.empty(size).uniform_(-bound, bound, generator=generator))
    return torch.cat(parts)


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    """Return a layer with these values, as views; the global generator stays as it was.

    (torch's own skip_init goes by the meta device, which imports sympy: a second in each process.)
    """
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(1, 1)
    layer.out_features, layer.in_features = weight.shape
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


def parameters(model: nn.Module) -> torch.Tensor:
    """Return the model's parameters as one flat tensor, float32 (P,): write to it, and they change.

    It stands outside autograd. A part of a tied model, and ``torch.compile(model)``, share the model's own
    tensor. A model that isn't tied, or no longer is (after ``.to(device)``,
    ``copy.deepcopy``, a replaced layer), is tied anew: ask again rather than keep the tensor.
    Raises ValueError for a model without parameters, of another dtype, or on several devices.
    """
    return _flat(model, list(model.parameters()))


def _flat(model: nn.Module, leaves: list[nn.Parameter]) -> torch.Tensor:
    flat: torch.Tensor | None = model.__dict__.get(_FLAT)
    if flat is None or not _is_tied(flat, leaves):
        found = _side_by_side(leaves)
        flat = _tie(leaves) if found is None else found
        setattr(model, _FLAT, flat)
    return flat


def _side_by_side(leaves: Sequence[nn.Parameter]) -> torch.Tensor | None:
    """The flat tensor in which ``leaves`` lie: those of a part of a tied model, or of its compiled form.

    To tie these anew would cut the model that they belong to from its own flat tensor.
    """
    if not leaves or any(p.dtype != torch.float32 or not p.is_contiguous() for p in leaves):
        return None
    storage, count = leaves[0].untyped_storage(), sum(p.numel() for p in leaves)
    if any(p.untyped_storage().data_ptr() != storage.data_ptr() for p in leaves):
        return None
    start = leaves[0].storage_offset()
    if 4 * (start + count) > storage.nbytes():
        return None
    flat = torch.empty(0, device=leaves[0].device).set_(storage, start, (count,), (1,))
    return flat if _is_tied(flat, leaves) else None


def _is_tied(flat: torch.Tensor, leaves: Sequence[nn.Parameter]) -> bool:
    """Whether ``leaves`` lie side by side in ``flat`` and fill it."""
    start = place = flat.data_ptr()
    for leaf in leaves:
        if leaf.data_ptr() != place and leaf.numel():
            return False
        place += 4 * leaf.numel()
    return place == start + 4 * flat.numel()


def _tie(leaves: Sequence[nn.Parameter]) -> torch.Tensor:
    """Move the values of ``leaves`` into one new flat tensor (P,) and make them views of it."""
    kinds = {(leaf.dtype, leaf.device) for leaf in leaves}
    if len(kinds) != 1 or leaves[0].dtype != torch.float32:
        found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds)) or "none"
        raise ValueError(
            f"a model's parameters must all be float32 on one device, found {found}: "
            "try model.float().to(device)"
        )
    with torch.no_grad():
        flat = joined([leaf.reshape(-1) for leaf in leaves])
    for leaf, part in zip(leaves, torch.split(flat, [leaf.numel() for leaf in leaves]), strict=True):
        leaf.data = part.view(leaf.shape)
    return flat


def gradient(loss: torch.Tensor, model: nn.Module) -> torch.Tensor:
    """Return d loss / d parameters as one new flat tensor, float32 (P,), laid out as `parameters`.

    ``loss``: a scalar computed from ``model``. Parameters that it doesn't use, or that are frozen,
    get zeros. ``.grad`` stays as it was. Raises TypeError and ValueError for a loss that has no
    gradient.
    """
    if not isinstance(loss, torch.Tensor):
        raise TypeError(f"gradient: loss must be a tensor, got {loss!r:.80}")
    if loss.numel() != 1:
        raise ValueError(f"gradient: loss must be a scalar, got shape {tuple(loss.shape)}: try loss.mean()")
    leaves = list(model.parameters())
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    if not (loss.requires_grad and asked):
        raise ValueError(
            "gradient: the loss carries no graph: compute it from model(x) outside "
            "torch.no_grad(), without .item() or .detach(), and with parameters not frozen"
        )
    found = torch.autograd.grad(loss, asked, allow_unused=True)
    if all(part is None for part in found):
        raise ValueError("gradient: the loss depends on no parameter of this model: another model's?")
    parts = dict(zip(map(id, asked), found, strict=True))
    return joined([_flattened(parts.get(id(leaf)), leaf) for leaf in leaves])


def _flattened(part: torch.Tensor | None, leaf: nn.Parameter) -> torch.Tensor:
    if part is None:
        return leaf.new_zeros(leaf.numel())
    return (part.to_dense() if part.is_sparse else part).reshape(-1)  # nn.Embedding(sparse=True)


def sgd_step(model: nn.Module, gradient: torch.Tensor, lr: float) -> None:
    """Take one step of gradient descent, in place: parameters -= lr * gradient.

    gradient: float32 (P,), as `gradient` returns it. Raises TypeError and ValueError for a gradient
    of another shape, dtype or device, and for a learning rate ``lr`` that is no finite number.
    """
    leaves = list(model.parameters())
    flat = _flat(model, leaves)
    if not isinstance(gradient, torch.Tensor):
        raise TypeError(f"sgd_step: gradient must be a tensor, got {gradient!r:.80}")
    if (gradient.shape, gradient.dtype, gradient.device) != (flat.shape, flat.dtype, flat.device):
        raise ValueError(
            f"sgd_step: gradient must be {_described(flat)}, got {_described(gradient)}: "
            "lab.gradient(loss, model) gives the right one"
        )
    try:
        finite = math.isfinite(lr)
    except TypeError:
        raise TypeError(f"sgd_step: lr must be a number such as 0.1, got {lr!r:.80}") from None
    if not finite:
        raise ValueError(f"sgd_step: lr must be a finite number such as 0.1, got {lr!r}")
    with torch.no_grad():
        flat.add_(gradient, alpha=-lr)
    # a backward pass through a forward pass made before this step fails then, as torch's own do
    torch.autograd.graph.increment_version(leaves)


def _described(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)} on {tensor.device}".removeprefix("torch.")


def accuracy(model: nn.Module, split: Samples) -> float:
    """Return the share of ``split``'s samples, 0 to 1, that ``model`` gets right.

    Of one output: a logit above 0 says 1 (an odd digit); split.y: (n, 1). Of several: the largest says
    which class; split.y: int64 (n,), as ``load_digits(classes=10)`` has it. split.x: (n, 784).
    Raises ValueError where outputs and targets don't fit.
    """
    with torch.no_grad():
        logits, y = model(split.x), split.y
    if logits.shape == y.shape:
        right = (logits > 0) == (y > 0.5)
    elif logits.shape[1:] > (1,) and logits.shape[:1] == y.shape and not y.is_floating_point():
        right = logits.argmax(1) == y
    else:
        raise ValueError(
            f"accuracy: the model's outputs have shape {tuple(logits.shape)} and the targets "
            f"{tuple(y.shape)}: make_model(seed) goes with load_digits(), make_model(seed, outputs=10) with "
            "load_digits(classes=10)"
        )
    return float(right.double().mean())
