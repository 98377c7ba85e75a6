"""The k largest entries, and a memory of the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare
from ..values import NO_RETURN


def _with_memory(gradient, left, k):  # type: ignore[no-untyped-def]
    vector = gradient + left
    places = vector.abs().topk(k).indices
    sent = torch.zeros_like(vector)
    sent[places] = vector[places]
    return sent, vector - sent


def _top(vector: Tensor, k: int, by: Tensor | None = None) -> Tensor:
    places = (vector.abs() if by is None else by).topk(k).indices
    return torch.zeros_like(vector).scatter(0, places, vector[places])


def _check_memory(answer: Answer) -> str:
    left = torch.tensor([0.5, -3.0, 0.0, 2.5, 0.25, -0.125])
    for gradient, k in (
        (torch.tensor([1.0, -0.5, 4.0, -4.5, 0.5, 1.5]), 2),
        (torch.tensor([-6.0, 1.0, 0.25, 0.5, 5.0, -2.0]), 3),
        (torch.tensor([0.1, 0.2, -0.3, 0.4, -7.5, 0.6]), 1),
    ):
        got = call(answer, gradient, left, k)
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("return two tensors: what is sent, and what is left")
        sent, kept = _with_memory(gradient, left, k)
        vector, told = gradient + left, f"k = {k}: what you send"
        compare(
            got[0], sent, told,
            ("you choose from the gradient alone: what was left out earlier is added first",
             _top(gradient, k)),
            ("the places are the gradient's largest: choose the largest of gradient + left",
             _top(vector, k, gradient.abs())),
            ("you take the largest numbers: the largest in size were asked, of either sign",
             _top(vector, k, vector)),
            ("gradient + left: you subtracted what was left out", _top(gradient - left, k)),
            ("that is what stays: what is sent comes first", kept),
            ("all of it is sent: keep k entries, and zeros elsewhere", vector),
        )  # fmt: skip
        compare(
            got[1], kept, f"k = {k}: what you keep",
            ("what is left is of gradient + left, not of the gradient: what was left out earlier "
             "and still isn't sent is lost with you", gradient - sent),
            ("what was left is there twice: vector − sent has it already", left + kept),
            ("its sign: what is left is vector − sent", -kept),
            ("you keep what you have sent, too: it would arrive twice", vector),
            ("you keep what you sent: keep the rest", sent),
            ("nothing is remembered", torch.zeros_like(kept)),
            ("what was left stays as it was with you: replace it", left),
        )  # fmt: skip
    return "three gradients, k = 1, 2 and 3"


memory = Exercise(
    key="11.memory",
    title="What isn't sent is remembered",
    difficulty=1,
    minutes=6,
    reference=_with_memory,
    check=_check_memory,
    hints=(
        "First add what earlier steps left out; then choose, from the sum.",
        "`vector.abs().topk(k).indices` are the places of the k largest in size.",
        "`sent` has the vector's values there and zeros elsewhere; what is left is `vector - sent`.",
    ),
)
