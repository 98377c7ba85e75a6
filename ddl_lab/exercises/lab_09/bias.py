"""A bias is added once: a layer whose inputs are cut over nodes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...counted import counted
from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes, same_traffic
from ..machine import Exercise
from ..mistakes import compare


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
    given = [*(part.tensor_split(node.world_size, dim=1)[node.rank] for part in (x, weight)), bias]
    mine = [tensor.clone() for tensor in given]
    got = answer(node, *mine)
    pairs = zip(("x", "weight", "bias"), given, mine, strict=True)
    return got, [name for name, before, after in pairs if not torch.equal(before, after)]


def _check_bias(answer: Answer) -> str:
    for nodes in (1, 2, 5):
        x, weight, bias = _layer(nodes)
        product, what = x @ weight.T, f"on {counted(nodes, 'node')}, rank {{}}'s output"
        got = on_nodes(_apply_rows, nodes, answer)
        for rank, (theirs, changed) in enumerate(got.results):
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
            if changed:
                raise Wrong(f"your function changes its argument {changed[0]}: the layer needs it again")
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
