"""Tensor parallelism: every node has a slice of every layer, and all work on the same batch.

A *block* is two linear layers with a ReLU between them, d -> h -> o. Of n nodes each has h/n hidden
units: those rows of the first weight (in the mathematics, columns: x W^T) and those columns of the second.
A hidden unit needs nothing of another, so the ReLU is applied where the unit lives; what leaves a block is
a sum over units, and so over nodes: one all-reduce of (b, o). Backward the same in reverse: what leaves
backward is the gradient of the block's input, one all-reduce of (b, d). Shoeybi et al. 2019.

==========  ======================  ======================
operator    forward                 backward
==========  ======================  ======================
enter       identity                all-reduce (sum)
leave       all-reduce (sum)        identity
==========  ======================  ======================

Both are plain calls between forward and backward: autograd sees one node's slice of one block at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from ..cluster.collectives import even_chunks
from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.shards import Place, Samples, batches

Tape: TypeAlias = list[tuple[Tensor, Tensor]]  # of each block: its input (b, d), this node's sum (b, o)


class Block(NamedTuple):
    """Two linear layers, d -> h -> ReLU -> o; or a node's slice of them, with fewer hidden units."""

    up: Tensor  # (h, d)
    up_bias: Tensor  # (h,)
    down: Tensor  # (o, h)
    bias: Tensor  # (o,), whole on every node: it is added once, after the sum


def block_of(model: nn.Sequential) -> Block:
    """The network of ``make_model`` as one block; copies."""
    return Block(*(p.detach().clone() for p in model.parameters()))


def make_blocks(widths: Sequence[int], seed: int) -> list[Block]:
    """Blocks one after another: (784, 256, 64, 256, 1) is 784 -> 256 -> 64 and 64 -> 256 -> 1.

    Values from U(-k, k), k = 1 / sqrt(fan-in), from a generator of their own.
    Raises ValueError for an even number of widths, or fewer than three.
    """
    if len(widths) < 3 or len(widths) % 2 == 0:
        raise ValueError(f"make_blocks: a block is inputs, hidden, outputs; widths {tuple(widths)} are not")
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, fan_in: int) -> Tensor:
        return (2 * torch.rand(shape, generator=generator) - 1) / fan_in**0.5

    return [
        Block(drawn(h, d, fan_in=d), drawn(h, fan_in=d), drawn(o, h, fan_in=h), drawn(o, fan_in=h))
        for d, h, o in zip(widths[:-2:2], widths[1::2], widths[2::2], strict=True)
    ]


def units(hidden: int, node: Place) -> slice:
    """The hidden units of this node; where n doesn't divide them, the first nodes have one more.

    Raises ValueError for more nodes than units.
    """
    if hidden < node.world_size:
        raise ValueError(
            f"{hidden} hidden units can't be split over {node.world_size} nodes, each needs at least one: "
            f"use at most {hidden} nodes, or a wider layer"
        )
    sizes = even_chunks(hidden, node.world_size)
    first = sum(sizes[: node.rank])
    return slice(first, first + sizes[node.rank])


def split(block: Block, node: Place) -> Block:
    """This node's slice of a whole block: copies that autograd follows."""
    mine = units(len(block.up), node)
    parts = block.up[mine], block.up_bias[mine], block.down[:, mine], block.bias
    return Block(*(part.detach().clone().requires_grad_() for part in parts))


def joined(slices: Iterable[Block]) -> Block:
    """The whole block from the slices of all nodes, in rank order."""
    up, up_bias, down, bias = zip(*slices, strict=True)
    return Block(torch.cat(up), torch.cat(up_bias), torch.cat(down, dim=1), bias[0])


def partial_sum(block: Block, x: Tensor) -> Tensor:
    """What this node's units add to the block's output, without its bias; x (b, d) -> (b, o)."""
    return torch.relu(x @ block.up.T + block.up_bias) @ block.down.T


def forward_flops(block: Block, samples: int) -> int:
    """Floating-point operations of a forward pass through it; backward takes twice that."""
    return 2 * samples * (block.up.numel() + block.down.numel())


def leave(node: Node, partial: Tensor) -> Tensor:
    """The sum over all nodes (b, o), on each: all-reduce forward; backward, the gradient as it comes."""
    total = partial.detach().clone()
    node.all_reduce(total)
    return total


def enter_backward(node: Node, d_input: Tensor) -> Tensor:
    """The gradient (b, d) by a block's input: each node found what its units have to do with it."""
    node.all_reduce(d_input)
    return d_input


def forward(node: Node, blocks: Sequence[Block], x: Tensor, data: bool = True) -> tuple[Tensor, Tape]:
    """This node's part of a forward pass; x (b, d), the same on all nodes; returns (b, o) and the tape.

    ``data``: x is data, whose gradient nobody wants. One all-reduce of (b, o) a block.
    """
    tape: Tape = []
    for block in blocks:
        x = x.detach().requires_grad_() if tape or not data else x  # enter: identity
        with node.compute(flops=forward_flops(block, len(x))):
            partial = partial_sum(block, x)
        tape.append((x, partial))
        x = leave(node, partial) + block.bias.detach()
    return x, tape


def backward(
    node: Node, blocks: Sequence[Block], tape: Tape, d_output: Tensor
) -> tuple[list[Block], Tensor | None]:
    """This node's gradients, a Block a block, and that of the first input (b, d), or None for data.

    ``d_output``: (b, o), the gradient by the last output, the same on all nodes. One all-reduce of (b, d)
    for each block whose input isn't data.
    """
    gradients: list[Block] = []
    for block, (x, partial) in zip(reversed(blocks), reversed(tape), strict=True):
        wanted = [block.up, block.up_bias, block.down, *([x] if x.requires_grad else [])]
        with node.compute(flops=2 * forward_flops(block, len(x))):
            found = torch.autograd.grad(partial, wanted, d_output)  # leave: identity
        gradients.insert(0, Block(found[0], found[1], found[2], d_output.sum(0)))
        if not x.requires_grad:
            return gradients, None
        d_output = enter_backward(node, found[3])
    return gradients, d_output


def loss_gradient(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, a scalar, and its gradient by the logits (b, 1)."""
    logits = logits.detach().requires_grad_()
    loss = bce_with_logits(logits, y)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


def descend(blocks: Iterable[Block], gradients: Iterable[Block], lr: float) -> None:
    """A step of gradient descent on this node's slices, in place."""
    with torch.no_grad():
        for block, gradient in zip(blocks, gradients, strict=True):
            for values, slope in zip(block, gradient, strict=True):
                values -= lr * slope


def tensor_parallel(
    node: Node, data: Samples, blocks: Sequence[Block], steps: int, batch_size: int = 64, lr: float = 0.1
) -> list[Block]:
    """Train the ``blocks``, this node with its slices of them; returns the slices.

    1. Every node reads the same batch: in a group of its own it is rank 0 of 1.
    2. Forward: an all-reduce as each block is left.
    3. Backward: an all-reduce as each block but the first is entered.
    4. Each node steps its own slices; no gradient of a parameter is ever sent.
    """
    mine = [split(block, node) for block in blocks]
    for x, y in islice(batches(data, node.group([node.rank]), batch_size), steps):  # 1.
        logits, tape = forward(node, mine, x)  # 2.
        loss, d_logits = loss_gradient(logits, y)
        gradients, _ = backward(node, mine, tape, d_logits)  # 3.
        descend(mine, gradients, lr)  # 4.
        node.record(loss=loss)
    return [Block(*(part.detach() for part in block)) for block in mine]
