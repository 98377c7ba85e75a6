"""Hybrid parallelism: a mesh of nodes, data x pipeline x tensor, each dimension a group of its own.

Rank r of a mesh (D, P, T) has the coordinates d, p, t with r = (d P + p) T + t: the tensor dimension,
which talks most, lies closest together, inside a host. Its tensor group are the ranks of the same d and p,
and so on. Along *data* nodes hold the same slice and see other samples; along *pipeline* they hold other
blocks; along *tensor* other hidden units of the same blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from ..cluster.collectives import even_chunks
from ..counted import counted
from ..node.node import Node
from ..training.shards import Place, Samples, batches
from .pipeline import micro_batches_of
from .tensor_parallel import Block, Tape, backward, descend, forward, loss_gradient, split

Shape = tuple[int, int, int]  # data, pipeline, tensor
DIMENSIONS = ("data", "pipeline", "tensor")


class Mesh(NamedTuple):
    """A node's three groups; its rank in each is its coordinate there."""

    data: Node
    pipeline: Node
    tensor: Node


def coordinates(rank: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Where ``rank`` stands in a mesh, its last dimension counting fastest."""
    found: list[int] = []
    for size in reversed(shape):
        rank, here = divmod(rank, size)
        found.insert(0, here)
    return tuple(found)


def check_shape(shape: Sequence[int], world_size: int) -> None:
    """Raise ``ValueError`` unless ``shape`` are three counts that multiply to ``world_size``."""
    whole = isinstance(shape, Sequence) and all(type(size) is int and size >= 1 for size in shape)
    if not whole or len(shape) != 3:
        raise ValueError(f"a mesh is (data, pipeline, tensor), three whole numbers from 1; got {shape!r}")
    told = " x ".join(f"{name} {size}" for name, size in zip(DIMENSIONS, shape, strict=True))
    if prod(shape) != world_size:
        raise ValueError(
            f"the mesh {told} has {counted(prod(shape), 'place')} for {counted(world_size, 'node')}: "
            "its sizes must multiply to the world size"
        )


def make_mesh(node: Node, shape: Sequence[int]) -> Mesh:
    """This node's groups along data, pipeline and tensor; needs no communication.

    Raises ``ValueError`` for a shape that doesn't multiply to the world size, naming both.
    """
    check_shape(shape, node.world_size)
    here = coordinates(node.rank, shape)
    strides = (shape[1] * shape[2], shape[2], 1)
    lines = [
        [node.rank + (place - here[k]) * strides[k] for place in range(shape[k])] for k in range(3)
    ]  # along a dimension only that coordinate changes
    return Mesh(*(node.group(ranks) for ranks in lines))


def stage_of(blocks: Sequence[Block], pipeline: Place) -> Sequence[Block]:
    """The blocks of this node's stage, whole; the first stages have one more where it doesn't come out even.

    Raises ``ValueError`` for more stages than blocks.
    """
    if len(blocks) < pipeline.world_size:
        raise ValueError(
            f"{pipeline.world_size} pipeline stages for {len(blocks)} blocks: each stage needs at least one"
        )
    sizes = even_chunks(len(blocks), pipeline.world_size)
    first = sum(sizes[: pipeline.rank])
    return blocks[first : first + sizes[pipeline.rank]]


def forward_stage(mesh: Mesh, mine: Sequence[Block], x: Tensor) -> tuple[Tensor, Tape]:
    """One micro-batch forward through this stage; x (b, d) of the first stage's input; returns (b, o)."""
    stage, last = mesh.pipeline.rank, mesh.pipeline.world_size - 1
    if stage > 0:
        x = x.new_empty(len(x), mine[0].up.shape[1])
        mesh.pipeline.recv(x, stage - 1)
    outputs, tape = forward(mesh.tensor, mine, x, data=stage == 0)
    if stage < last:
        mesh.pipeline.send(outputs, stage + 1)
    return outputs, tape


def backward_stage(mesh: Mesh, mine: Sequence[Block], tape: Tape, d_output: Tensor) -> list[Block]:
    """One micro-batch backward; ``d_output`` (b, o): by the logits on the last stage, else a box to fill."""
    stage, last = mesh.pipeline.rank, mesh.pipeline.world_size - 1
    if stage < last:
        mesh.pipeline.recv(d_output, stage + 1)
    gradients, d_input = backward(mesh.tensor, mine, tape, d_output)
    if d_input is not None:
        mesh.pipeline.send(d_input, stage - 1)
    return gradients


def average(mesh: Mesh, sums: Sequence[Sequence[Block]], samples: int) -> list[Block]:
    """The gradients of the micro-batches, each a sum over its samples, as means over all samples.

    One all-reduce along data: this node's slice of the gradient, and how many samples it is of.
    """
    added = [torch.stack(parts).sum(0) for parts in zip(*map(_tensors, sums), strict=True)]
    flat = torch.cat([*(part.reshape(-1) for part in added), torch.tensor([float(samples)])])
    mesh.data.all_reduce(flat)
    pieces = (flat[:-1] / flat[-1]).split([part.numel() for part in added])
    shaped = [piece.view(part.shape) for piece, part in zip(pieces, added, strict=True)]
    return [Block(*shaped[k : k + 4]) for k in range(0, len(shaped), 4)]


def _tensors(blocks: Sequence[Block]) -> list[Tensor]:
    return [part for block in blocks for part in block]


def hybrid(
    node: Node, data: Samples, blocks: Sequence[Block], shape: Shape, steps: int,
    batch_size: int = 64, micro_batches: int = 1, lr: float = 0.1,
) -> list[Block]:  # fmt: skip
    """Train the ``blocks`` on a mesh (data, pipeline, tensor); returns this node's slices of its stage.

    1. Groups along the three dimensions; this node's slices of its stage's blocks.
    2. Forward, one micro-batch after another: all-reduces along tensor, activations along pipeline.
    3. Backward, the same in reverse (GPipe, Huang et al. 2019).
    4. One all-reduce of the slice's gradient along data, and the step.

    The last stage records the loss of its own batch.

    Raises ``ValueError`` for fewer than one micro-batch, and for more than a batch has digits.
    """
    mesh = make_mesh(node, shape)  # 1.
    mine = [split(block, mesh.tensor) for block in stage_of(blocks, mesh.pipeline)]
    last = mesh.pipeline.rank == mesh.pipeline.world_size - 1
    for x, y in islice(batches(data, mesh.data, batch_size), steps):
        parts = micro_batches_of(x, y, micro_batches)
        passed = [forward_stage(mesh, mine, part) for part, _ in parts]  # 2.
        sums, loss = [], 0.0
        for (outputs, tape), (_, part) in zip(reversed(passed), reversed(parts), strict=True):  # 3.
            slope = torch.empty_like(outputs)
            if last:
                mean, slope = loss_gradient(outputs, part)
                loss, slope = loss + float(mean) * len(part) / len(x), slope * len(part)
            sums.append(backward_stage(mesh, mine, tape, slope))
        if last:
            node.record(loss=loss)
        descend(mine, average(mesh, sums, len(x)), lr)  # 4.
    return [Block(*(part.detach() for part in block)) for block in mine]
