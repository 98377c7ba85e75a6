"""What a node's calls take: each refusal names the call, the rank, the value, the range and the mend."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor

from ..travel.shared import SharedTensor
from .port import MAX_TAG
from .reduction import OPS, TRAVELS, refusal

_TRAVELS = frozenset(TRAVELS)


class Caller(Protocol):
    """The node whose call is checked."""

    @property
    def rank(self) -> int: ...
    @property
    def world_size(self) -> int: ...
    @property
    def device(self) -> torch.device: ...


def whole(value: Any) -> int:
    """``value`` as an int, if it is a whole number of Python, NumPy or torch (of no dimension); else -1."""
    if type(value) is int:  # as nearly always
        return value
    if getattr(value, "ndim", 0) or "bool" in str(getattr(value, "dtype", type(value).__name__)):
        return -1
    try:
        return operator.index(value)
    except TypeError:
        return -1


def rank_in_group(node: Caller, call: str, rank: Any) -> int:
    """``rank`` as an int, if it is one of the group's."""
    number, last = whole(rank), node.world_size - 1
    if not 0 <= number <= last:
        raise ValueError(f"{call} on rank {node.rank}: ranks here are whole numbers 0 to {last}.")
    return number


def peer_in_group(node: Caller, call: str, rank: Any) -> int:
    """``rank``, if it is another node of the group."""
    number = rank_in_group(node, call, rank)
    if number == node.rank:
        raise ValueError(f"{call} on rank {node.rank} names the node itself: name another rank.")
    return number


def members(node: Caller, ranks: Iterable[int]) -> list[int]:
    """``ranks`` as a list that names each rank once, this node's among them."""
    if not isinstance(ranks, Iterable) or not getattr(ranks, "ndim", 1):
        raise ValueError(f"group({ranks!r}) on rank {node.rank} takes a list of ranks, such as [0, 1].")
    given = list(ranks)
    listed = [rank_in_group(node, f"group({given}) names {rank!r}", rank) for rank in given]
    if not listed or len(set(listed)) != len(listed):
        raise ValueError(f"group({listed}): name each of its ranks once, and at least one.")
    if node.rank not in listed:
        raise ValueError(f"group({listed}): rank {node.rank} calls it but is no member of it.")
    return listed


def checked_tag(name: str, tag: Any) -> int:
    """``tag`` as an int, if it is one."""
    number = whole(tag)
    if not 0 <= number <= MAX_TAG:
        raise ValueError(f"node.{name}(tag={tag!r}): a tag is a whole number from 0 to {MAX_TAG}.")
    return number


def check_op(name: str, op: Any, tensor: Tensor) -> None:
    """Refuse an unknown reduction, and one that torch does not do with numbers of this type."""
    if op not in OPS:
        raise ValueError(f"node.{name}(op={op!r}): op is one of {', '.join(OPS)}.")
    if why := refusal(op, tensor.dtype):
        raise ValueError(f"node.{name}(op={op!r}) {why}")


def check_unit(given: dict[str, float | None]) -> tuple[str, float]:
    """The one unit of a compute span that is given, and its amount."""
    told = {unit: amount for unit, amount in given.items() if amount is not None}
    if len(told) != 1:
        names = ", ".join(told) or "none"
        raise ValueError(f"node.compute takes one of samples, flops, seconds; it got {names}.")
    ((unit, amount),) = told.items()
    if not 0 <= amount < float("inf"):
        raise ValueError(f"node.compute({unit}={amount!r}): it takes a number from 0 up.")
    return unit, float(amount)


def readable(node: Caller, name: str, tensor: Any) -> Tensor:
    """``tensor`` as a flat contiguous one (a view where it can be), outside autograd."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"node.{name} takes a torch.Tensor; it got a {type(tensor).__name__}.")
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = "a nested one" if tensor.is_nested else str(tensor.layout)
        raise ValueError(f"node.{name} takes dense tensors; it got {kind}: use to_dense().")
    if tensor.dtype not in _TRAVELS:
        raise ValueError(f"node.{name} takes numbers and booleans; {tensor.dtype} does not travel.")
    if tensor.device != node.device and tensor.device.type != node.device.type:
        raise ValueError(
            f"node.{name} on rank {node.rank} got a tensor on {tensor.device}, and the node is on "
            f"{node.device}: move it with .to(node.device)."
        )
    plain = type(tensor) is Tensor and tensor.stride() == (1,) and not tensor.requires_grad
    if plain and not tensor.is_conj() and not tensor.is_neg():
        return tensor  # it is so already: most messages, and a simulation sends very many
    flat = flattened(tensor)
    if type(tensor) is not Tensor and not _has_memory(flat):
        raise ValueError(
            f"node.{name} takes tensors with memory of their own; it got a {type(tensor).__name__}, which is "
            "made of others: give it those, one by one."
        )
    return flat


def _has_memory(flat: Tensor) -> bool:
    """Whether numbers lie behind a tensor; in a subclass that is made of other tensors none do."""
    try:
        return not flat.numel() or flat.data_ptr() != 0
    except RuntimeError:
        return False


def flattened(tensor: Tensor) -> Tensor:
    """The numbers of ``tensor`` one after another: a view where they lie so, else a copy."""
    plain = tensor.detach().as_subclass(Tensor).resolve_conj().resolve_neg().contiguous()
    return plain.as_strided((plain.numel(),), (1,))  # a single number may have another stride


def lies_flat(tensor: Tensor) -> bool:
    """Whether the tensor's numbers lie in its memory one after another, as they are.

    A conjugated or negated view (``x.conj()``, ``x.conj().imag``) has other numbers than its memory.
    """
    return tensor.is_contiguous() and not tensor.is_conj() and not tensor.is_neg()


def writable(node: Caller, name: str, tensor: Any) -> Tensor:
    """As ``readable``, for a tensor that the call changes in place."""
    if isinstance(tensor, SharedTensor):
        raise ValueError(f"node.{name} writes into its tensor, and a data set is read-only: clone it.")
    if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
        raise ValueError(
            f"node.{name} writes into its tensor, and this one is part of an autograd graph that "
            "would not know: pass tensor.detach()."
        )
    if isinstance(tensor, Tensor) and tensor.is_inference():
        raise ValueError(
            f"node.{name} writes into its tensor, and this one was made in torch.inference_mode(), outside "
            "which none is written to: pass tensor.clone()."
        )
    flat = readable(node, name, tensor)
    # what does not lie flat was copied, and the copy must fit back
    if flat is not tensor and not lies_flat(tensor) and _overlaps(tensor):
        raise ValueError(
            f"node.{name} writes into its tensor, and some of this one's elements share memory: "
            "give a contiguous tensor, such as tensor.contiguous()."
        )
    return flat


def _overlaps(tensor: Tensor) -> bool:
    """Whether one element in memory may stand for several, as in ``expand`` or ``unfold``."""
    reach = 0  # of the dimensions so far, in elements
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


def write_back(tensor: Tensor, flat: Tensor) -> None:
    """Copy ``flat`` into a tensor of which it could not be a view; autograd learns that it has changed."""
    mark_changed(flat)
    if flat is not tensor and not lies_flat(tensor):
        tensor.detach().copy_(flat.view(tensor.shape))


def mark_changed(tensor: Tensor) -> None:
    """Let a backward pass that needs the old values fail, as after torch's own in-place operations."""
    if not tensor.is_inference():
        torch.autograd.graph.increment_version(tensor)


def chunked(node: Caller, name: str, given: Any, own: Tensor) -> tuple[Tensor, tuple[int, ...] | None]:
    """The flat concatenation of all chunks and, of a list, their sizes in elements; ``own`` must fit."""
    n = node.world_size
    if isinstance(given, Tensor):
        full, chunks = readable(node, name, given), None
        fits = given.numel() == n * own.numel()
        found = f"{given.numel()} elements, and {n} ranks with {own.numel()} each"
        found += f" make {n * own.numel()}"
    else:
        parts = [readable(node, name, part) for part in given]
        odd = [part for part in parts if part.dtype != own.dtype]
        full, chunks = odd[0] if odd else torch.cat(parts or [own]), tuple(p.numel() for p in parts)
        fits = len(parts) == n and chunks[node.rank] == own.numel()
        found = f"a list of sizes {chunks} for {n} ranks"
        found += f", and {own.numel()} of rank {node.rank}'s own"
    if not fits or full.dtype != own.dtype:
        types = "" if full.dtype == own.dtype else f" ({full.dtype} and {own.dtype})"
        raise ValueError(f"node.{name} on rank {node.rank} got {found}{types}: make them fit.")
    return full, chunks
