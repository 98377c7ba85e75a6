"""Which of the two sends less, data or tensor parallelism, by the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number
from ..values import number


def _crossover(widths):  # type: ignore[no-untyped-def]
    blocks = list(zip(widths[:-2:2], widths[1::2], widths[2::2], strict=True))
    parameters = sum(h * d + h + o * h + o for d, h, o in blocks)
    forward = sum(o for _, _, o in blocks)
    backward = sum(d for d, _, _ in blocks[1:])
    return parameters / (forward + backward)


def _weights(widths: Sequence[int]) -> int:
    """The parameters without biases."""
    return sum(d * h for d, h in pairwise(widths))


def _check_crossover(answer: Answer) -> str:
    for widths in ((784, 256, 1), (784, 256, 64, 256, 1), (32, 100, 32, 100, 32, 100, 1)):
        right, inputs, outputs = _crossover(widths), widths[:-2:2], sum(widths[2::2])
        total = right * (outputs + sum(inputs[1:]))
        got = number(call(answer, list(widths)), f"widths {widths}: the batch")
        if got.is_integer() and abs(got - right) < 1:
            continue  # rounded, up or down: a batch is whole
        check_number(
            got, right, f"widths {widths}: the batch, of {total:,.0f} parameters with all biases,",
            ("you count the gradient of the data as well: nobody wants it", total / (outputs + sum(inputs))),
            ("backward, a block all-reduces the gradient of its input, not its output's again",
             total / (2 * outputs)),
            ("forward only: backward, each block but the first all-reduces its input's gradient",
             total / outputs),
            ("bytes on one side and numbers on the other: both are float32", 4 * right),
            ("bytes on one side and numbers on the other: both are float32", right / 4),
            ("hidden units never leave their node: only what goes in and out of a block does",
             total / sum(widths)),
            ("the biases are parameters too, and their gradients travel", _weights(widths) * right / total),
        )  # fmt: skip
    return "the article's network, two blocks, and three"


crossover = Exercise(
    key="09.crossover",
    title="Which of the two sends less",
    difficulty=2,
    minutes=10,
    reference=_crossover,
    check=_check_crossover,
    hints=(
        "Data parallelism all-reduces P numbers a step, tensor parallelism so many a row of the batch.",
        "A row: the outputs of every block forward; the inputs of every block but the first backward.",
        "Both are all-reduces, so that 2(n−1)/n cancels: rows = P / numbers a row.",
    ),
)
