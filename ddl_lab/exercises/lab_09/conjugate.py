"""The conjugate operator: an input's gradient is a sum over nodes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...counted import counted
from ...node.node import Node
from ..helpers import Answer, on_nodes, same_traffic
from ..machine import Exercise
from ..mistakes import compare


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
                theirs,
                right,
                f"on {counted(nodes, 'node')}, rank {rank}'s gradient",
                *(likely if nodes > 1 else []),
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
