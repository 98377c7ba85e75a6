"""The most accurate net of 30,000 bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import cloudpickle
import torch
from torch import Tensor

from ...training.data import load_digits
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import NO_RETURN, items

MOST_BYTES, ASKED = 30_000, 0.955
SPARE_BYTES = 6_000  # for the lines of `score`, which a notebook's function brings along
Score: TypeAlias = Callable[[list[Tensor], Tensor], Any]


def _small_net(x, y):  # type: ignore[no-untyped-def]
    def halved(x):  # type: ignore[no-untyped-def]
        return torch.nn.functional.avg_pool2d(x.view(-1, 28, 28), 2).flatten(1)  # (n, 784) -> (n, 196)

    def score(tensors, x):  # type: ignore[no-untyped-def]
        w, b, v, c, scales = tensors  # whole numbers, and what a 1 of each is worth
        hidden = torch.relu(halved(x) @ (w * scales[0]).T + b * scales[1])
        return hidden @ (v * scales[2]).T + c * scales[3]

    inputs = halved(x)
    model = torch.nn.Sequential(torch.nn.Linear(196, 148), torch.nn.ReLU(), torch.nn.Linear(148, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(600):
        rows = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(inputs[rows]), y[rows]).backward()
        optimizer.step()
    floats = [parameter.detach() for parameter in model.parameters()]
    scales = torch.stack([f.abs().max() / 127 for f in floats])
    return [(f / s).round().to(torch.int8) for f, s in zip(floats, scales, strict=True)] + [scales], score


@cache
def _mirrored() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The digits as in a mirror: who trains on those of the course, test digits included, gains nothing."""
    digits = load_digits()
    x, new_x = (part.x.view(-1, 28, 28).flip(2).flatten(1) for part in (digits.train, digits.test))
    return x, digits.train.y.clone(), new_x, digits.test.y.clone()


def _check_small(answer: Answer) -> str:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the labs do: the same digits in the same time everywhere
    try:
        return _checked(answer)
    finally:
        torch.set_num_threads(threads)


def _checked(answer: Answer) -> str:
    x, y, new_x, new_y = _mirrored()
    torch.manual_seed(0)
    tensors, score = _packed(answer(x.clone(), y.clone()))
    nbytes = _weighed(tensors, score)
    known, right = (_accuracy(score, tensors, *digits) for digits in ((x, y), (new_x, new_y)))
    _each_alone(score, tensors, new_x)
    if right < ASKED:
        _name_the_fault(tensors, score, nbytes, known, right)
    return f"{nbytes:,} bytes are right on {right:.1%} of 1,000 new digits"


def _packed(got: Any) -> tuple[list[Tensor], Score]:
    if got is None:
        raise Wrong(f"what your function returns {NO_RETURN}")
    if not isinstance(got, tuple | list) or len(got) != 2 or not callable(got[1]):
        raise Wrong("return two things: a list of tensors, and the function score(tensors, x)")
    tensors = items(got[0], "your list of tensors") if not isinstance(got[0], Tensor) else [got[0]]
    for place, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise Wrong(f"number {place} of your list is a {type(tensor).__name__}: a tensor was asked")
    return [tensor.detach().clone() for tensor in tensors], got[1]


def _weighed(tensors: Sequence[Tensor], score: Score) -> int:
    """The bytes of all tensors; ``Wrong`` where they, or what ``score`` carries, are too many."""
    nbytes = sum(tensor.nbytes for tensor in tensors)
    if nbytes > MOST_BYTES:
        raise Wrong(f"{nbytes:,} bytes, and {MOST_BYTES:,} at most were asked. {_how_to_save(tensors)}")
    carried = len(cloudpickle.dumps(score))
    if carried > SPARE_BYTES:
        raise Wrong(
            f"your tensors take {nbytes:,} bytes, and score carries {carried:,} of its own: weights that it "
            "knows without being handed them. Take all from its argument tensors"
        )
    return nbytes


def _how_to_save(tensors: Sequence[Tensor]) -> str:
    largest = max(tensors, key=lambda tensor: tensor.nbytes)
    kind, each = str(largest.dtype).removeprefix("torch."), largest.element_size()
    told = f"A number takes {each} bytes in {kind}"
    if each == 8:
        return f"{told}: float32 takes 4, int8 with a scale 1"
    if each > 1:
        return f"{told}: {MOST_BYTES // each:,} fit; in int8, with a scale a tensor, {each} times as many"
    count = sum(tensor.numel() for tensor in tensors)
    return f"{count:,} numbers of a byte each: fewer hidden units, or smaller pictures"


def _scored(score: Score, tensors: Sequence[Tensor], x: Tensor) -> Any:
    """What ``score`` returns, of copies, so that it can change nothing."""
    with torch.no_grad():
        return score([tensor.clone() for tensor in tensors], x.clone())


def _accuracy(score: Score, tensors: Sequence[Tensor], x: Tensor, y: Tensor) -> float:
    logits = _scored(score, tensors, x)
    if logits is None:
        raise Wrong(f"what score returns {NO_RETURN}")
    if not isinstance(logits, Tensor) or logits.numel() != len(x):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise Wrong(
            f"score returns {shape} for {len(x):,} digits: one logit of each was asked, ({len(x)}, 1)"
        )
    if logits.dtype == torch.bool:
        raise Wrong(
            "score returns True and False: a logit was asked, a number above 0 where the digit is odd"
        )
    if not logits.isfinite().all():
        raise Wrong("score returns nan or inf")
    return float(((logits.flatten() > 0) == (y.flatten() > 0.5)).float().mean())


def _each_alone(score: Score, tensors: Sequence[Tensor], x: Tensor) -> None:
    """Raise ``Wrong`` where a picture's logit hangs on what comes with it, or on chance."""
    whole, few = (_scored(score, tensors, part).flatten().float() for part in (x, x[:10]))
    if len(few) != 10 or not torch.allclose(few, whole[:10], rtol=0.05, atol=0.05 * float(whole.std())):
        raise Wrong(
            "ten pictures by themselves get other logits than among 1,000: score has something of the batch "
            "in it, or of chance, as a BatchNorm or a Dropout that wasn't told eval()"
        )


def _name_the_fault(
    tensors: list[Tensor], score: Score, nbytes: int, known: float, right: float
) -> None:  # fmt: skip
    """Raise ``Wrong`` with what the learner's own tensors and accuracies tell."""
    told = f"{nbytes:,} bytes are right on {right:.1%} of 1,000 new digits, and {ASKED:.1%} was asked"
    new_x = _mirrored()[2]
    logits = _scored(score, tensors, new_x).flatten().float()
    if bool((logits >= 0).all()) and bool((logits <= 1).all()) and logits.std() > 0.01:
        raise Wrong(f"{told}: your scores lie from 0 to 1, as probabilities do: of a logit, above 0 says odd")
    if right < 1 - ASKED + 0.1:
        raise Wrong(
            f"{told}: the other way round it would be {1 - right:.1%}; above 0 says odd, which is y = 1"
        )
    digits = load_digits().test
    unmirrored = _accuracy(score, tensors, digits.x, digits.y)
    if unmirrored > max(0.9, right + 0.05):
        raise Wrong(
            f"{told}. On digits that aren't mirrored it is right on {unmirrored:.1%}: train on x and y, "
            "which are handed in, not on digits that you load"
        )
    whole = [tensor for tensor in tensors if not tensor.is_floating_point() and tensor.numel() > 1_000]
    if any(int(tensor.unique().numel()) <= 2 for tensor in whole) and right < 0.8:
        raise Wrong(
            f"{told}: nearly all numbers of your {str(whole[0].dtype).removeprefix('torch.')} are 0. Weights "
            "are below 1: divide by a scale before you round, and multiply by it in score"
        )
    raise Wrong(f"{told}. {_what_to_try(tensors, nbytes, known, right)}")


def _what_to_try(tensors: Sequence[Tensor], nbytes: int, known: float, right: float) -> str:
    if right < 0.6:
        return f"That is guessing; of the digits that it was trained on it is right on {known:.1%}"
    if nbytes < MOST_BYTES / 2:
        return f"There are {MOST_BYTES - nbytes:,} bytes left"
    if any(t.is_floating_point() and t.numel() > 1_000 and t.element_size() > 1 for t in tensors):
        return _how_to_save(tensors)
    if known - right > 0.04:
        return f"Of those that it was trained on it is right on {known:.1%}: it has learned them by heart"
    if known < 0.97:
        return f"Of those that it was trained on it is right on {known:.1%} only: train on"
    return "Pictures of 14 × 14 take a quarter of the weights, so that four times as many hidden units fit"


small = Exercise(
    key="18.small",
    title="The best net in 30 kB",
    difficulty=3,
    minutes=25,
    reference=_small_net,
    check=_check_small,
    hints=(
        "784 → h → 1 has 786 h + 1 numbers: in float32 h = 9 fits. What takes fewer bytes a number, or fewer "
        "numbers a picture?",
        "A tensor in int8: scale = largest / 127, `(w / scale).round().to(torch.int8)`; score multiplies by "
        "the scales, which are one more small tensor.",
        "`avg_pool2d(x.view(-1, 28, 28), 2)` makes 196 inputs of 784: with a byte a number, 150 hidden units "
        "fit. Adam, 600 steps of 128 digits.",
    ),
)
