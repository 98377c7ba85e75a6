"""The loss from logits: exact for sure answers, right or wrong, in float32."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare, one_number, tensor_of_one
from ..watched import Watched

LOGITS = torch.tensor([[-3.0], [-0.5], [0.0], [0.25], [1.0], [2.0], [4.0], [-1.5]])


TARGETS = torch.tensor([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0], [1.0], [0.0]])


def _stable_bce(logits: Tensor, targets: Tensor) -> Tensor:
    if logits.shape != targets.shape:
        raise ValueError(f"logits {tuple(logits.shape)} against targets {tuple(targets.shape)}")
    losses = logits.clamp(min=0) - logits * targets + torch.log1p(torch.exp(-logits.abs()))
    return losses.mean()


def _check_stable(answer: Answer) -> None:
    """Values, logits up to 10,000 in float32, sure answers, and shapes that don't match."""
    z, y = LOGITS.double(), TARGETS.double()
    right, p = _stable_bce(z, y), torch.sigmoid(z)
    with Watched() as watched:
        got = tensor_of_one(call(answer, z, y), "the loss")
    compare(
        got, right, "the loss",
        ("you sum over the batch where the mean was asked: 8 times too large, for 8 samples", 8 * right),
        ("that is the loss in bits: in nats it has natural logarithms", right / math.log(2)),
        ("your targets are the other way round: a 1 pays −log ŷ", _stable_bce(z, 1 - y)),
        ("your loss has the wrong sign: logarithms of probabilities are below 0, the loss isn't", -right),
        ("the zeros pay nothing: their term is −(1 − y) log(1 − ŷ)", -(y * p.log()).mean()),
        ("the targets have no effect: − z · y is missing", torch.logaddexp(z, 0 * z).mean()),
    )  # fmt: skip
    for name in watched.names:
        if "loss" in name or "entropy" in name or "bce" in name:
            raise Wrong(f"{name} is torch's ready-made loss: build it of exponentials and logarithms")
    for far in (20.0, 200.0, 1e4, -200.0):
        _check_far(answer, far)
    for sure in (-20.0, 20.0):
        _check_sure(answer, sure)
    for others in (y.flatten(), y[:1], y.expand(8, 2)):  # all of them broadcast
        _check_shapes(answer, z, others)


def _check_far(answer: Answer, z: float) -> None:
    """A wrong answer, however sure, pays its logit."""
    y = float(z < 0)
    got = one_number(call(answer, torch.tensor([[z]]), torch.tensor([[y]])), "the loss").item()
    where = f"at logit {z:g}, label {y:.0f}, float32 your loss is {got:.4g}"
    if not math.isfinite(got):
        exact = f"ŷ has become exactly {float(z > 0):g}"
        why = exact if z == 20 else f"exp of a number above 88 is inf in float32, or {exact}"
        raise Wrong(f"{where}: {why}. Let no exponent be above 0, and form no ŷ")
    if not 0.99 < got / abs(z) < 1.01:
        raise Wrong(f"{where} and should be {abs(z):g}: a clamp hides how wrong the answer is")


def _check_sure(answer: Answer, z: float) -> None:
    """A sure and right answer keeps its tiny loss."""
    y = float(z > 0)
    loss = one_number(answer(torch.tensor([[z]]), torch.tensor([[y]])), "the loss").item()
    if 0.99 < loss / math.exp(-20) < 1.01:
        return
    told = f"a sure, right answer, logit {z:g} and label {y:g}, pays {loss:.3g} and should pay 2.06e-09"
    if z < 0:
        raise Wrong(f"{told}: 1 + 2e-9 is 1 in float32, so use log1p(t) for log(1 + t)")
    raise Wrong(
        f"{told}: log(1 + exp(20)) is 20 in float32, and 20 − z · y leaves nothing; nor does log ŷ, as ŷ is "
        "exactly 1. Take z · y off max(z, 0) first, which leaves 0, and add log1p(exp(−|z|)) to that"
    )


def _check_shapes(answer: Answer, logits: Tensor, targets: Tensor) -> None:
    try:
        answer(logits, targets)
    except ValueError:
        return
    except Exception as error:
        raise Wrong(
            f"where the shapes differ you raise {type(error).__name__}: ValueError was asked"
        ) from None
    shape, losses = tuple(targets.shape), (logits - targets).numel()
    raise Wrong(
        f"(8, 1) against {shape} broadcasts to {losses} losses: raise ValueError where the shapes differ"
    )


stable = Exercise(
    key="01.stable",
    title="The loss from logits",
    difficulty=2,
    minutes=7,
    reference=_stable_bce,
    check=_check_stable,
    hints=(
        "Never form ŷ. The loss of one sample is log(1 + exp(z)) − z · y.",
        "Take max(z, 0) out of the logarithm: what is left in it is 1 + exp(−|z|).",
        "`logits.clamp(min=0) - logits * targets + torch.log1p(torch.exp(-logits.abs()))`, then the mean; "
        "and before it a ValueError where the shapes differ.",
    ),
)
