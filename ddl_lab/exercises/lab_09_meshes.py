"""Lab 09's exercises that count: bytes against data parallelism, what a node keeps, where a rank stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .machine import Exercise, Wrong

MIXED = (2, 2, 12)  # bytes a parameter: float16 parameters and gradients, Adam with float32 copies
CASES = ((7_500_000_000, 64, MIXED), (201_217, 4, (4, 4, 8)), (1_000, 1, (4, 4, 4)))


# 09.crossover


def _crossover(widths):  # type: ignore[no-untyped-def]
    blocks = list(zip(widths[:-2:2], widths[1::2], widths[2::2], strict=True))
    parameters = sum(h * d + h + o * h + o for d, h, o in blocks)
    forward = sum(o for _, _, o in blocks)
    backward = sum(d for d, _, _ in blocks[1:])
    return parameters / (forward + backward)


def _check_crossover(answer: Callable[..., Any]) -> str:
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


# 09.memory


def _kept_bytes(parameters, nodes, stage, each):  # type: ignore[no-untyped-def]
    theta, gradient, states = each
    if stage >= 1:
        states /= nodes
    if stage >= 2:
        gradient /= nodes
    if stage >= 3:
        theta /= nodes
    return parameters * (theta + gradient + states)


def _check_memory(answer: Callable[..., Any]) -> str:
    for parameters, nodes, each in CASES:
        for stage in range(4):
            got, right = answer(parameters, nodes, stage, each), _kept_bytes(parameters, nodes, stage, each)
            if not isinstance(got, int | float):
                raise Wrong(f"a number of bytes was asked, and not {got!r:.60}")
            if math.isclose(got, right, rel_tol=1e-9):
                continue
            case = f"stage {stage}, {parameters:,} parameters over {nodes} nodes, {each} bytes each"
            _name_memory(got, right, case, parameters, nodes, each, stage)
    return "a model of 7.5 billion parameters on 64 nodes, the article's network on 4, and a single node"


def _name_memory(
    got: float, right: float, case: str, parameters: int, nodes: int, each: tuple[int, int, int], stage: int
) -> None:
    theta, gradient, states = each
    if math.isclose(got, _kept_bytes(parameters, nodes, 3, each)):
        raise Wrong(f"{case}: you divide everything by the nodes, and that is stage 3")
    reversed_order = _kept_bytes(parameters, nodes, stage, (states, gradient, theta))
    if math.isclose(got, reversed_order):
        raise Wrong(f"{case}: the optimiser's states are sharded first, the parameters last")
    only = [(theta, gradient, states), (theta, gradient, states / nodes), (theta, gradient / nodes, states),
            (theta / nodes, gradient, states)][stage]  # fmt: skip
    if math.isclose(got, parameters * sum(only)):
        raise Wrong(f"{case}: a stage keeps what the stages before it have sharded")
    if math.isclose(got * nodes, right) or math.isclose(got, right * nodes):
        raise Wrong(f"{case}: {nodes} times off, and {nodes} is the node count: bytes of one node were asked")
    raise Wrong(f"{case}: {got:,.6g} bytes, and a node keeps {right:,.6g}")


memory = Exercise(
    key="09.memory",
    title="What a node keeps",
    difficulty=1,
    minutes=6,
    reference=_kept_bytes,
    check=_check_memory,
    hints=(
        "Stage 0 keeps P · (theta + gradient + states) bytes on every node.",
        "Stage 1 divides the states by the nodes, stage 2 the gradient as well, stage 3 the parameters too.",
    ),
)


# 09.place


def _coordinates(rank, shape):  # type: ignore[no-untyped-def]
    found = list(shape)
    for k in reversed(range(len(shape))):
        rank, found[k] = divmod(rank, shape[k])
    return tuple(found)


def _check_place(answer: Callable[..., Any]) -> str:
    for shape in ((2, 3, 4), (2, 1, 2), (8, 2, 4), (5,), (2, 2, 2, 2)):
        nodes = math.prod(shape)
        found, right = ([f(rank, shape) for rank in range(nodes)] for f in (answer, _coordinates))
        if [tuple(got) if isinstance(got, tuple | list) else got for got in found] != right:
            _name_place(found, right, shape)
    return "two, three and four dimensions, and a single one; every rank"


def _name_place(found: list[Any], right: list[tuple[int, ...]], shape: tuple[int, ...]) -> None:
    for rank, got in enumerate(found):
        if not isinstance(got, tuple | list):
            raise Wrong(f"return one coordinate for each dimension, and not {got!r:.60}")
        if len(got) != len(shape):
            raise Wrong(f"rank {rank} of a mesh {shape}: {len(got)} coordinates for {len(shape)} dimensions")
    theirs = [tuple(got) for got in found]
    if theirs == [_coordinates(rank, shape[::-1])[::-1] for rank in range(len(found))]:
        raise Wrong(
            f"on a mesh {shape} your first dimension counts fastest. The last one should: neighbours share "
            "a host, and the tensor dimension is the last"
        )
    rank = next(rank for rank in range(len(right)) if theirs[rank] != right[rank])
    case = f"rank {rank} of a mesh {shape}"
    if theirs == [place[::-1] for place in right]:
        raise Wrong(f"{case}: the right coordinates from back to front, {theirs[rank]}")
    if any(not 0 <= g < size for g, size in zip(theirs[rank], shape, strict=True)):
        raise Wrong(f"{case}: {theirs[rank]} lies outside the mesh")
    raise Wrong(f"{case} stands at {right[rank]}, and not at {theirs[rank]}")


place = Exercise(
    key="09.place",
    title="Where a rank stands",
    difficulty=2,
    minutes=8,
    reference=_coordinates,
    check=_check_place,
    hints=(
        "It is the rank written with a digit for each dimension, as 75 minutes are 1 hour and 15.",
        "The last coordinate is rank % shape[-1]; what is left, rank // shape[-1], goes to the next one.",
    ),
)
