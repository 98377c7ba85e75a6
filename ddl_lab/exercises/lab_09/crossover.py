"""Which of the two sends less, data or tensor parallelism, by the rows of a batch."""

from __future__ import annotations

from ..helpers import Answer, Wrong
from ..machine import Exercise


def _crossover(widths):  # type: ignore[no-untyped-def]
    blocks = list(zip(widths[:-2:2], widths[1::2], widths[2::2], strict=True))
    parameters = sum(h * d + h + o * h + o for d, h, o in blocks)
    forward = sum(o for _, _, o in blocks)
    backward = sum(d for d, _, _ in blocks[1:])
    return parameters / (forward + backward)


def _check_crossover(answer: Answer) -> str:
    for widths in ((784, 256, 1), (784, 256, 64, 256, 1), (32, 100, 32, 100, 32, 100, 1)):
        got, right = answer(list(widths)), _crossover(widths)
        if not isinstance(got, int | float):
            raise Wrong(f"a number of digits was asked, and not {got!r:.60}")
        outputs, inputs = sum(widths[2::2]), sum(widths[:-2:2])
        total = right * (outputs + inputs - widths[0])
        for words, wrong in (
            ("you count the gradient of the data as well: nobody wants it", total / (outputs + inputs)),
            (
                "forward only: backward, each block but the first all-reduces its input's gradient",
                total / outputs,
            ),
            ("bytes on one side and numbers on the other: both are float32", 4 * right),
            (
                "hidden units never leave their node: only what goes in and out of a block does",
                total / sum(widths),
            ),
        ):
            if abs(got - wrong) < 1e-6 * wrong and abs(wrong - right) > 1e-6 * right:
                raise Wrong(f"widths {widths}: {words}")
        if abs(got - right) > 0.01 * right:
            raise Wrong(f"widths {widths}: {got:.6g} digits, and both send as many bytes at {right:.6g}; "
                        f"the network has {total:,.0f} parameters, biases among them")  # fmt: skip
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
