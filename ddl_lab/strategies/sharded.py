"""Sharded data parallelism (ZeRO: Rajbhandari et al. 2020): what n nodes keep n times, each keeps once.

Plain data parallelism keeps the parameters, a gradient and the optimiser's states whole on every node. In
stages, a node keeps only its n-th of

=====  ==========================================  =============================================
stage  sharded                                     bytes that a node sends a step, of S = 4 P
=====  ==========================================  =============================================
0      nothing                                     all-reduce                           2(n-1)/n S
1      optimiser states                            all-reduce, all-gather               3(n-1)/n S
2      ... and gradients                           reduce-scatter, all-gather           2(n-1)/n S
3      ... and parameters                          two all-gathers, reduce-scatter      3(n-1)/n S
=====  ==========================================  =============================================

All stages do the same arithmetic element by element, and so find the same bits. Stage 1 could do with a
reduce-scatter as well (as the paper counts it, 2 S); here it all-reduces, and stage 2 shows the saving.

The network is a chain of linear layers with ReLUs between them. Each layer is one flat tensor, gathered,
reduced and let go by itself, so that stages 2 and 3 never hold more than one layer whole.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..node.node import Node
from ..training.shards import Samples, endless
from ..travel.checks import SIMULATING

DEEP = (784, *[256] * 7, 1)  # eight layers
Step = Callable[[Tensor, Tensor, list[Tensor], int], None]  # theta, gradient, states, number of the step


def momentum(theta: Tensor, gradient: Tensor, states: list[Tensor], step: int) -> None:
    """SGD with momentum 0.9 and learning rate 0.05, in place; states: the velocity, like theta."""
    (velocity,) = states
    velocity.mul_(0.9).add_(gradient)
    theta.sub_(0.05 * velocity)


def adam(theta: Tensor, gradient: Tensor, states: list[Tensor], step: int) -> None:
    """Adam (Kingma and Ba 2014), learning rate 0.001, in place; states: mean and mean square, like theta.

    ``step`` counts from 1. Every operation takes one element at a time: a shard's step is the same bits.
    """
    mean, square = states
    mean.mul_(0.9).add_(0.1 * gradient)
    square.mul_(0.999).add_(0.001 * (gradient * gradient))
    theta.sub_(0.001 * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8))


OPTIMISERS: dict[str, tuple[Step, int]] = {"momentum": (momentum, 1), "adam": (adam, 2)}  # step, states


def sizes_of(widths: Sequence[int]) -> list[int]:
    """Parameters of each layer of a chain of these widths, weights and biases."""
    return [(inputs + 1) * outputs for inputs, outputs in pairwise(widths)]


def kept_bytes(parameters: int, nodes: int, stage: int, states: int) -> float:
    """Bytes that a node keeps in float32: parameters, gradient, ``states`` optimiser tensors (Adam: 2).

    Rajbhandari et al. 2020, in whose mixed precision they have 2, 2 and 12 bytes a parameter instead of
    4, 4 and 4 a state.
    """
    shared = [nodes if stage >= least else 1 for least in (3, 2, 1)]  # parameters, gradient, states
    each = (4, 4, 4 * states)
    return sum(parameters * size / n for size, n in zip(each, shared, strict=True))


@dataclass
class Layer:
    """A layer as one node keeps it; ``inputs`` x ``outputs``, P = (inputs + 1) outputs parameters."""

    inputs: int
    outputs: int
    whole: Tensor | None  # (P,), weight then bias; None where parameters are sharded
    own: Tensor  # this node's chunk: of ``whole`` a view, else a tensor of its own
    sizes: list[int]  # of the chunks of all nodes
    states: list[Tensor] = field(default_factory=list)  # the optimiser's, as large as what it steps
    gradient: Tensor | None = None


def make_layers(node: Node, stage: int, states: int, widths: Sequence[int], seed: int) -> list[Layer]:
    """The chain of linear layers as this node keeps it; values from a generator of their own.

    Raises ValueError for a stage other than 0 to 3, and for a layer with fewer parameters than nodes.
    """
    if stage not in (0, 1, 2, 3):
        raise ValueError(f"stage={stage!r}: 0 shards nothing, 1 states, 2 gradients too, 3 parameters too")
    generator, layers = torch.Generator().manual_seed(seed), []
    for (inputs, outputs), parameters in zip(pairwise(widths), sizes_of(widths), strict=True):
        if parameters < node.world_size:
            raise ValueError(
                f"a layer of {parameters} parameters can't be sharded over {node.world_size} nodes"
            )
        whole = (2 * torch.rand(parameters, generator=generator) - 1) / inputs**0.5
        chunks = whole.tensor_split(node.world_size)
        own, sizes = chunks[node.rank], [len(chunk) for chunk in chunks]
        stepped = whole if stage == 0 else own
        moments = [torch.zeros_like(stepped) for _ in range(states)]
        kept = Layer(inputs, outputs, whole, own, sizes, moments)
        if stage == 3:
            kept.whole, kept.own = None, own.clone()
        layers.append(kept)
    return layers


def gathered(node: Node, layer: Layer) -> Tensor:
    """The layer's parameters whole (P,): all-gathered where this node has only its chunk."""
    if layer.whole is not None:
        return layer.whole
    whole = layer.own.new_empty(sum(layer.sizes))
    node.all_gather(list(whole.split(layer.sizes)), layer.own)
    return whole


def output(layer: Layer, theta: Tensor, x: Tensor) -> Tensor:
    """The linear layer on x (b, inputs) -> (b, outputs), with the parameters ``theta`` (P,)."""
    weight, bias = theta.split([layer.inputs * layer.outputs, layer.outputs])
    return x @ weight.view(layer.outputs, layer.inputs).T + bias


def reduced(node: Node, layer: Layer, gradient: Tensor, stage: int) -> Tensor:
    """The mean gradient over all nodes: whole (P,), or from stage 2 on this node's chunk of it."""
    if stage < 2:
        node.all_reduce(gradient, op="mean")
        return gradient
    own = torch.empty_like(layer.own)
    node.reduce_scatter(own, list(gradient.split(layer.sizes)), op="mean")
    return own


def forward(node: Node, layers: Sequence[Layer], x: Tensor) -> tuple[list[Tensor], Tensor]:
    """The input of every layer, and the logits (b, 1); no graph: parameters are let go at once."""
    inputs = []
    for layer in layers:
        inputs.append(x if layer is layers[0] else torch.relu(x))
        theta = gathered(node, layer)
        with node.compute(flops=2 * len(x) * len(theta)), torch.no_grad():
            x = output(layer, theta, inputs[-1])
    return inputs, x


def backward(
    node: Node,
    layers: Sequence[Layer],
    inputs: Sequence[Tensor],
    slope: Tensor,
    stage: int,
    scales: Scales | None = None,
) -> None:
    """Gradients into the layers, last one first; ``slope`` (b, 1): the loss's gradient by the logits.

    A layer's part of the graph is made anew from its input, so that no graph holds parameters in between.
    ``scales`` weigh where most is held: a layer's parameters and its gradient, whole.
    """
    for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
        x = x.detach().requires_grad_()
        theta = gathered(node, layer).detach().requires_grad_()  # at stage 3 a second time
        with node.compute(flops=4 * len(x) * len(theta)):
            gradient, slope = torch.autograd.grad(output(layer, theta, x), [theta, x], slope)
            slope = slope * (x > 0)  # through the ReLU before this layer
        if scales:
            scales.weigh()
        layer.gradient = reduced(node, layer, gradient, stage)


def update(node: Node, layer: Layer, step: Step, number: int, stage: int) -> None:
    """The optimiser's step on what is this node's; up to stage 2, the others' chunks are gathered after."""
    assert layer.gradient is not None, "update follows backward"
    if layer.whole is not None and stage == 0:
        step(layer.whole, layer.gradient, layer.states, number)
        return
    gradient = layer.gradient if stage > 1 else layer.gradient.split(layer.sizes)[node.rank]
    step(layer.own, gradient, layer.states, number)
    if layer.whole is not None:
        node.all_gather(list(layer.whole.split(layer.sizes)), layer.own.clone())


def _storages() -> dict[int, int]:
    """Bytes by address of every storage that a tensor of this process holds, gc's frozen ones aside."""
    held = [thing.untyped_storage() for thing in gc.get_objects() if type(thing) in (Tensor, nn.Parameter)]
    return {storage.data_ptr(): storage.nbytes() for storage in held}


class Scales:
    """Weighs what this process holds in tensors beyond what is there already; in a process of its own."""

    def __init__(self) -> None:
        self._known = _storages()
        gc.freeze()  # what is here isn't looked through again
        self.most = 0

    def weigh(self) -> int:
        """Bytes of all tensors made since, that are alive; each storage counts once."""
        held = sum(nbytes for place, nbytes in _storages().items() if place not in self._known)
        self.most = max(self.most, held)
        return held


def sharded(
    node: Node, data: Samples, stage: int, optimiser: str = "adam", steps: int = 3, batch_size: int = 16,
    widths: Sequence[int] = DEEP, seed: int = 0, weigh: bool = False,
) -> Tensor:  # fmt: skip
    """Train a chain of linear layers, this node keeping what ``stage`` says; returns the parameters (P,).

    1. Forward, layer by layer: parameters whole for as long as the layer takes.
    2. Backward, last layer first: whole once more, the gradient reduced and let go.
    3. The optimiser steps what is this node's.

    ``weigh``: record the bytes that the node keeps, and the most that it held; in processes only.
    Raises ``ValueError`` for another optimiser, and for ``weigh`` in a simulation.
    """
    if optimiser not in OPTIMISERS:
        raise ValueError(f"optimiser={optimiser!r}: it can be {' or '.join(OPTIMISERS)}")
    if weigh and SIMULATING:
        raise ValueError("weigh=True counts the tensors of a whole process: use lab.run, not lab.simulate")
    stream = endless(data, node, batch_size)
    scales = Scales() if weigh else None
    step, states = OPTIMISERS[optimiser]
    layers = make_layers(node, stage, states, widths, seed)
    for number in range(1, steps + 1):
        x, y = next(stream)  # no loop over pairs, which would hold on to the last one
        inputs, logits = forward(node, layers, x)  # 1.
        slope = (torch.sigmoid(logits) - y) / len(y)
        backward(node, layers, inputs, slope, stage, scales)  # 2.
        del inputs, logits, slope, x, y
        if scales:
            node.record(kept_bytes=scales.weigh(), most_bytes=scales.most)
        for layer in layers:  # 3.
            update(node, layer, step, number, stage)
    return torch.cat([gathered(node, layer) for layer in layers])
