"""Lab 01, the loss: five exercises, from the entropy of labels to the loss of k classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .lab_01_saturation import saturation
from .machine import Exercise, Wrong, call, close
from .mistakes import compare, one_number
from .sizes import Largest

__all__ = ["classes", "entropy", "pairs", "saturation", "stable"]

LOGITS = torch.tensor([[-3.0], [-0.5], [0.0], [0.25], [1.0], [2.0], [4.0], [-1.5]])
TARGETS = torch.tensor([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0], [1.0], [0.0]])


def _scalar(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


# 01.entropy -------------------------------------------------------------------------------------


def _entropy(labels: Tensor) -> float:
    rate = labels.double().mean().item()
    if rate in (0.0, 1.0):  # all alike: nothing to tell, and log2(0) has no value
        return 0.0
    return -(rate * math.log2(rate) + (1 - rate) * math.log2(1 - rate))


def _check_entropy(answer: Callable[..., Any]) -> None:
    """Labels of a tenth ones, and labels that are all alike; in bits."""
    labels = torch.tensor([1.0] * 2 + [0.0] * 18)[:, None]  # (20, 1), base rate 1/10
    got, right, of_ones = (
        one_number(call(answer, labels), "the entropy"),
        _entropy(labels),
        0.1 * math.log2(10),
    )
    compare(
        got, _scalar(right), "the entropy of 2 ones among 20 labels",
        (f"{got:.4f} is the entropy in nats: bits are log2, or nats / ln 2", _scalar(right * math.log(2))),
        ("your entropy is below 0: log2 of a share is, and the minus in front is missing", _scalar(-right)),
        ("that is the share of the ones alone: the zeros have a term as well", _scalar(of_ones)),
        ("that is the share of the zeros alone: the ones have a term as well", _scalar(right - of_ones)),
        ("that is the sum over the 20 labels: the entropy is that of one label", _scalar(20 * right)),
        ("1 bit is the entropy where half of the labels are ones; here one in ten is", _scalar(1.0)),
        ("that is the base rate itself: put it into the formula of the entropy", _scalar(0.1)),
    )  # fmt: skip
    for value, word in ((0.0, "zero"), (1.0, "one")):
        alike = one_number(call(answer, torch.full((5, 1), value)), "the entropy")
        if not abs(alike) < 1e-9:  # nan isn't either
            told = f"where every label is {word} your entropy is {alike:.4g}: it is 0"
            raise Wrong(f"{told}, since 0 · log2(0) counts as 0 and floats say nan")


entropy = Exercise(
    key="01.entropy",
    title="The entropy of labels",
    difficulty=1,
    minutes=5,
    reference=_entropy,
    check=_check_entropy,
    hints=(
        "Of the labels you need one number only: the share of ones.",
        "With the share r: H = −r log r − (1 − r) log(1 − r). Which logarithm gives bits?",
        "Use `math.log2`, and return 0.0 first where the share is 0 or 1.",
    ),
)


# 01.stable --------------------------------------------------------------------------------------


def _stable_bce(logits: Tensor, targets: Tensor) -> Tensor:
    if logits.shape != targets.shape:
        raise ValueError(f"logits {tuple(logits.shape)} against targets {tuple(targets.shape)}")
    losses = logits.clamp(min=0) - logits * targets + torch.log1p(torch.exp(-logits.abs()))
    return losses.mean()


def _check_stable(answer: Callable[..., Any]) -> None:
    """Values, logits up to 10,000 in float32, sure answers, and shapes that don't match."""
    z, y = LOGITS.double(), TARGETS.double()
    right, p = _stable_bce(z, y), torch.sigmoid(z)
    compare(
        one_number(call(answer, z, y), "the loss"), right, "the loss",
        ("you sum over the batch where the mean was asked: 8 times too large, for 8 samples", 8 * right),
        ("that is the loss in bits: in nats it has natural logarithms", right / math.log(2)),
        ("your targets are the other way round: a 1 pays −log ŷ", _stable_bce(z, 1 - y)),
        ("your loss has the wrong sign: logarithms of probabilities are below 0, the loss isn't", -right),
        ("the zeros pay nothing: their term is −(1 − y) log(1 − ŷ)", -(y * p.log()).mean()),
        ("the targets have no effect: − z · y is missing", torch.logaddexp(z, 0 * z).mean()),
    )  # fmt: skip
    for far in (20.0, 200.0, 1e4, -200.0):
        _check_far(answer, far)
    _check_sure(answer)
    try:
        answer(z, y.flatten())
    except (ValueError, RuntimeError):
        return
    raise Wrong("(8, 1) against (8,) broadcasts to 64 losses: raise ValueError where the shapes differ")


def _check_far(answer: Callable[..., Any], z: float) -> None:
    """A wrong answer, however sure, pays its logit."""
    y = float(z < 0)
    got = one_number(call(answer, torch.tensor([[z]]), torch.tensor([[y]])), "the loss").item()
    where = f"at logit {z:g}, label {y:.0f}, float32 your loss is {got:.4g}"
    if not math.isfinite(got):
        why = "ŷ has become exactly 1" if z == 20 else "exp of a number above 88 is inf in float32"
        raise Wrong(f"{where}: {why}. Let no exponent be above 0")
    if not 0.99 < got / abs(z) < 1.01:
        raise Wrong(f"{where} and should be {abs(z):g}: a clamp hides how wrong the answer is")


def _check_sure(answer: Callable[..., Any]) -> None:
    """A sure and right answer keeps its tiny loss, on one side at least."""
    pairs = ((-20.0, 0.0), (20.0, 1.0))
    losses = [
        one_number(answer(torch.tensor([[z]]), torch.tensor([[y]])), "the loss").item() for z, y in pairs
    ]
    if not any(0.99 < loss / math.exp(-20) < 1.01 for loss in losses):
        told = f"a sure, right answer, logit −20 and label 0, pays {losses[0]:.3g} and should pay 2.06e-09"
        raise Wrong(f"{told}: 1 + 2e-9 is 1 in float32, so use log1p(t) for log(1 + t)")


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


# 01.pairs ---------------------------------------------------------------------------------------


def _all_pairs_mean(p: Tensor, y: Tensor) -> Tensor:
    rate = y.mean()  # every row of the square has all labels in it, so only their mean is left
    return -(rate * p.log() + (1 - rate) * (1 - p).log()).mean()


def _check_pairs(answer: Callable[..., Any]) -> None:
    """The mean of 8 × 8 losses, and no tensor of more than 8 numbers on the way."""
    p, y = torch.sigmoid(LOGITS.double()), torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0], dtype=torch.float64)
    got, given = one_number(call(answer, p, y), "the mean"), (p.clone(), y.clone())
    with Largest() as largest:
        answer(*given)
    matched, right, rate = _stable_bce(LOGITS.double(), y[:, None]), _all_pairs_mean(p, y), y.mean()
    compare(
        got, right, "the mean of all pairs",
        ("that is the loss of matched pairs, the right one: asked is what the square makes of it", matched),
        ("that is the entropy of the labels: the mean is that only where every ŷ is the base rate",
         -(rate * rate.log() + (1 - rate) * (1 - rate).log())),
        ("you took the mean of ŷ first: the log of a mean is no mean of logs",
         -(rate * p.mean().log() + (1 - rate) * (1 - p.mean()).log())),
        ("that is the sum over the rows: 8 times too large, for 8 predictions", 8 * right),
        ("that is the sum of all pairs: 64 times too large, for 8 × 8 of them", 64 * right),
        ("the zeros pay nothing: their term is −(1 − y) log(1 − ŷ)", -(rate * p.log()).mean()),
    )  # fmt: skip
    if largest.elements > 8:
        raise Wrong(
            f"right, but by a tensor of {largest.elements} numbers: with 4,000 digits it has 16 million"
        )


pairs = Exercise(
    key="01.pairs",
    title="All pairs, without the square",
    difficulty=2,
    minutes=6,
    reference=_all_pairs_mean,
    check=_check_pairs,
    hints=(
        "Fix one prediction: its row of the square has the losses against every label. What is their mean?",
        "y stands in the loss as a plain factor, so the mean over labels goes into it: y becomes mean(y).",
        "`rate = y.mean()`, then the cross-entropy of every p against that one rate, and the mean.",
    ),
)


# 01.classes -------------------------------------------------------------------------------------


def _log_softmax(scores: Tensor) -> Tensor:
    top = scores.max(dim=1, keepdim=True).values  # (n, 1), each row's own
    shifted = scores - top  # no exponent is above 0 now
    return shifted - shifted.exp().sum(dim=1, keepdim=True).log()


def _check_classes(answer: Callable[..., Any]) -> None:
    """Values, scores of 1,000, and two classes (0, z) against this lab's loss."""
    scores = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0], [2.0, 2.0, 2.0], [-1.0, 0.5, 0.25]])
    right, top = _log_softmax(scores), scores.max(dim=1, keepdim=True).values
    compare(
        call(answer, scores), right, "the result",
        ("those are the probabilities: asked are their logarithms", right.exp()),
        ("you normalise down the columns: each row is one sample, so dim=1", scores.log_softmax(dim=0)),
        ("you normalise over the whole batch: each row for itself, dim=1",
         scores.flatten().log_softmax(0).view_as(scores)),
        ("your sign is the wrong way round: logarithms of probabilities are below 0", -right),
        ("the rows aren't normalised: the log of the sum of exp has to come off", scores - top),
        ("those are logarithms to the base 2; natural ones were asked", right / math.log(2)),
    )  # fmt: skip
    far = torch.tensor([[1000.0, 0.0, 1.0], [-1000.0, -1001.0, -1002.0]])
    got = answer(far)
    if got[0].isnan().any() or got[0].isposinf().any():
        raise Wrong("scores of 1,000 give nan: exp(1000) is inf. Take the largest score off first")
    if got[1].isinf().any():
        raise Wrong("scores near −1,000 give an inf: take off each row's own largest score, not the batch's")
    if got.isneginf().any():
        raise Wrong("a class far behind gives −inf, by log(exp(−1000)): subtract logs, form no quotient")
    close(got, _log_softmax(far), "for scores of 1,000 the result", atol=2e-4)  # float32 there: steps of 6e-5
    logits = torch.tensor([[-30.0], [2.0], [40.0]])
    two = -answer(torch.cat([torch.zeros_like(logits), logits], dim=1))
    close(two[:, :1].mean(), _stable_bce(logits, 0 * logits), "with scores (0, z), the loss of class 0")


classes = Exercise(
    key="01.classes",
    title="Many classes",
    difficulty=3,
    minutes=9,
    reference=_log_softmax,
    check=_check_classes,
    hints=(
        "log of exp(s_j) / Σ exp(s) is s_j − log Σ exp(s). No quotient is needed.",
        "Σ exp(s) overflows. Take each row's largest score off all of its scores: the result stays the same.",
        "`scores.max(dim=1, keepdim=True).values` keeps the shape (n, 1), which comes off (n, k) row by row.",
    ),
)
