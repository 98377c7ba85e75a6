"""The exercises of lab 09 on tensor parallelism: units, the bias, the conjugate; the others stand beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..node.node import Node
from .lab_09_meshes import crossover, memory, place
from .machine import Exercise, Wrong, on_nodes, same_traffic
from .mistakes import compare

__all__ = ["bias", "conjugate", "crossover", "memory", "place", "units"]

Answer: TypeAlias = Callable[..., Any]


# 09.units


def _units(hidden, nodes, rank):  # type: ignore[no-untyped-def]
    least, more = divmod(hidden, nodes)
    start = rank * least + min(rank, more)
    return start, start + least + (rank < more)


def _ranges(answer: Answer, hidden: int, nodes: int) -> list[tuple[int, int]]:
    found = []
    for rank in range(nodes):
        got = answer(hidden, nodes, rank)
        if not (isinstance(got, tuple | list) and len(got) == 2 and all(type(g) is int for g in got)):
            raise Wrong(f"return two whole numbers, start and stop, and not {got!r:.60}")
        found.append((got[0], got[1]))
    return found


def _check_units(answer: Answer) -> str:
    for hidden, nodes in ((256, 4), (256, 3), (10, 4), (7, 7), (9, 8), (5, 1)):
        found, case = _ranges(answer, hidden, nodes), f"{hidden} units over {nodes} nodes"
        sizes = [stop - start for start, stop in found]
        if found[0][0] != 0:
            raise Wrong(f"{case}: rank 0 starts at unit {found[0][0]}, and units are counted from 0")
        if found[-1][1] == hidden - 1 and hidden % nodes == 0:
            raise Wrong(
                f"{case}: stop is one past the last unit, as in a slice; yours leaves unit {hidden - 1}"
            )
        if found[-1][1] < hidden:
            raise Wrong(
                f"{case}: nobody has the last units, from {found[-1][1]} on: hidden // nodes drops them"
            )
        for rank in range(1, nodes):
            if found[rank][0] != found[rank - 1][1]:
                raise Wrong(f"{case}: rank {rank - 1} stops at {found[rank - 1][1]}, rank {rank} starts at "
                            f"{found[rank][0]}: each unit must have one node")  # fmt: skip
        if max(sizes) - min(sizes) > 1 or found[-1][1] != hidden:
            raise Wrong(f"{case}: the sizes are {sizes}; the slowest node has {max(sizes)} units where "
                        f"{-(-hidden // nodes)} do. They should differ by one at most")  # fmt: skip
        if sizes != sorted(sizes, reverse=True):
            raise Wrong(f"{case}: the sizes are {sizes}: the larger ones first, as tensor_split has them")
    return "256 units over 4 and 3 nodes, 10 over 4, one each, 9 over 8, and a single node"


units = Exercise(
    key="09.units",
    title="Whose hidden units",
    difficulty=1,
    minutes=6,
    reference=_units,
    check=_check_units,
    hints=(
        "divmod(10, 4) is (2, 2): everybody gets 2, and two nodes get one more.",
        "Before rank r stand r nodes with `least` units each, and min(r, more) of them have one more.",
    ),
)


# 09.bias


def _row_parallel(node, x, weight, bias):  # type: ignore[no-untyped-def]
    total = x @ weight.T
    node.all_reduce(total)
    return total + bias


def _layer(nodes: int, seed: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = (6, 12), (3, 12), (3,)
    x, weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
    return x, weight, bias


def _apply_rows(node: Node, answer: Answer) -> Any:
    x, weight, bias = _layer(node.world_size)
    mine = [part.tensor_split(node.world_size, dim=1)[node.rank].clone() for part in (x, weight)]
    return answer(node, *mine, bias)


def _check_bias(answer: Answer) -> str:
    for nodes in (1, 2, 5):
        x, weight, bias = _layer(nodes)
        product, what = x @ weight.T, f"on {nodes} nodes, rank {{}}'s output"
        got = on_nodes(_apply_rows, nodes, answer)
        for rank, theirs in enumerate(got.results):
            parts = [p.tensor_split(nodes, dim=1)[rank] for p in (x, weight)]
            alone = parts[0] @ parts[1].T
            likely = [
                (
                    f"the bias is in it {nodes} times: every node added it before the sum",
                    product + nodes * bias,
                ),
                ("the bias isn't in it", product),
                ("each node returns what its own inputs give: add over the nodes", alone + bias),
                ("that is the mean over nodes; the layer's output is a sum", product / nodes + bias),
            ]
            compare(theirs, product + bias, what.format(rank), *(likely if nodes > 1 else likely[1:2]))
        same_traffic(
            got, on_nodes(_apply_rows, nodes, _row_parallel), "One all-reduce of the output is enough"
        )
    return "1, 2 and 5 nodes, values and bytes"


bias = Exercise(
    key="09.bias",
    title="A bias is added once",
    difficulty=1,
    minutes=6,
    reference=_row_parallel,
    check=_check_bias,
    hints=(
        "Which part of x Wᵀ + b is a sum over inputs, and which is not?",
        "All-reduce x @ weight.T, which is (b, o). The bias comes after it, on every node.",
    ),
)


# 09.conjugate


def _input_gradient(node, x, partial, d_output):  # type: ignore[no-untyped-def]
    (d_x,) = torch.autograd.grad(partial, x, d_output)
    node.all_reduce(d_x)
    return d_x


def _block(nodes: int) -> list[Tensor]:
    """x (6, 5), up (8, 5), down (3, 8), d_output (6, 3), and nobody's special numbers."""
    generator = torch.Generator().manual_seed(nodes)
    return [torch.randn(shape, generator=generator) for shape in ((6, 5), (8, 5), (3, 8), (6, 3))]


def _enter(node: Node, answer: Answer) -> Any:
    x, up, down, d_output = _block(node.world_size)
    mine = up.tensor_split(node.world_size)[node.rank], down.tensor_split(node.world_size, dim=1)[node.rank]
    x.requires_grad_()
    partial = torch.relu(x @ mine[0].T) @ mine[1].T
    got = answer(node, x, partial, d_output)
    return got.detach() if isinstance(got, Tensor) else got


def _slopes(nodes: int) -> list[Tensor]:
    """What each node's units contribute to the gradient by x."""
    x, up, down, d_output = _block(nodes)
    slices = zip(up.tensor_split(nodes), down.tensor_split(nodes, dim=1), strict=True)
    return [((d_output @ low) * (x @ high.T > 0)) @ high for high, low in slices]


def _check_conjugate(answer: Answer) -> str:
    for nodes in (1, 2, 3):
        got, parts = on_nodes(_enter, nodes, answer), _slopes(nodes)
        right = torch.stack(parts).sum(0)
        for rank, theirs in enumerate(got.results):
            likely = [
                ("only this node's units are in it: backward, the input gets a sum over nodes", parts[rank]),
                (f"{nodes} times too large: d_output is the same on all {nodes} nodes already, all-reduce "
                 "what autograd finds, not what you give it", nodes * right),
                (f"you all-reduce d_output, {nodes} times too large, not the result", nodes * parts[rank]),
                ("that is the mean; each node's part is of other units, so they add up", right / nodes),
            ]  # fmt: skip
            compare(
                theirs, right, f"on {nodes} nodes, rank {rank}'s gradient", *(likely if nodes > 1 else [])
            )
        same_traffic(
            got, on_nodes(_enter, nodes, _input_gradient), "One all-reduce of the size of x is enough"
        )
    return "1, 2 and 3 nodes, values and bytes"


conjugate = Exercise(
    key="09.conjugate",
    title="The conjugate operator",
    difficulty=2,
    minutes=8,
    reference=_input_gradient,
    check=_check_conjugate,
    hints=(
        "torch.autograd.grad(outputs, inputs, grad_outputs) goes back through this node's units alone.",
        "d_output came from a loss that all nodes computed alike. Nothing has to be added to it.",
        "grad(partial, x, d_output), then one all-reduce of what it finds.",
    ),
)
