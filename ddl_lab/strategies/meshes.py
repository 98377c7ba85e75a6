"""Which mesh: what a step costs and what a node must hold, by formula, for a network of equal blocks.

The network: ``layers`` blocks d -> 4d -> d, P = 8 d^2 layers parameters in float32, trained on ``tokens``
rows a step, cut into micro-batches of b rows on each of D data groups. On a mesh D x P x T, with f seconds
for a block forward on a micro-batch and backward twice that:

=========  ================================================================================
part       seconds of a step
=========  ================================================================================
compute    m (layers / P) 3f
bubble     (P - 1) (layers / P) 3f, and the same share of the tensor part: idle stages
tensor     (m + P - 1) (layers / P) 2 all-reduces of (b, d) over T nodes
pipeline   2 (P - 1) messages of (b, d)
data       one all-reduce of parameters / (P T) values over D nodes
=========  ================================================================================

Exact for GPipe's schedule where a message between stages takes no longer than a stage's forward pass, and
hosts hold whole groups: a power of two of nodes, in hosts of a power of two. 1F1B has the same bubble, and
waits for a few more messages; what a node must hold is counted as in 1F1B, or without a pipeline as in
accumulating gradients: activations of at most P micro-batches, where GPipe keeps those of all m.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from ..cluster.collectives import even_work
from ..cluster.model import Cluster
from ..node.node import Node
from .hybrid import Shape, check_shape, make_mesh

SIZE = 4  # bytes of a float32


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained, and how a step is cut."""

    width: int
    """d: what goes from block to block; 4d hidden units in each."""
    layers: int
    """Blocks."""
    tokens: int
    """Rows of the batch of one step, over all nodes."""
    micro_batches: int = 8
    """Of each data group."""
    shard_states: bool = False
    """Whether Adam's states are sharded along data (ZeRO's stage 1), by a reduce-scatter and an all-gather.

    They send what the all-reduce sends. Stage 2 is no choice here: it reduces after every micro-batch.
    """

    def __post_init__(self) -> None:
        for name in ("width", "layers", "tokens", "micro_batches"):
            size = getattr(self, name)
            if type(size) is not int or size < 1:
                raise ValueError(f"{name}={size!r}: give a whole number from 1")

    @property
    def parameters(self) -> int:
        """Weights of all blocks; biases are left out."""
        return 8 * self.width**2 * self.layers

    def rows(self, shape: Shape) -> int:
        """Rows of a micro-batch."""
        return self.tokens // (shape[0] * self.micro_batches)

    def flops(self, shape: Shape) -> int:
        """Of one block forward on a micro-batch, on one node; backward takes twice as many."""
        return 2 * self.rows(shape) * 8 * self.width**2 // shape[2]

    def fits(self, shape: Shape) -> bool:
        """Whether stages, slices and micro-batches come out even."""
        data, pipeline, tensor = shape
        even = self.layers % pipeline == 0 and 4 * self.width % tensor == 0
        return even and self.tokens % (data * self.micro_batches) == 0

    def check(self, shape: Shape) -> None:
        """Raise ``ValueError`` where stages, slices or micro-batches don't come out even."""
        if not self.fits(shape):
            raise ValueError(f"{self} doesn't come out even on the mesh {shape}")

    def node_bytes(self, shape: Shape) -> float:
        """What a node holds: parameters, gradients, Adam's two states, and the activations in flight.

        Of a micro-batch a block keeps its input (b, d) and its hidden units (b, 4d / T); in flight are P
        micro-batches on the first stage, which holds the most.
        """
        data, pipeline, tensor = shape
        each = SIZE * (1 + 1 + 2 / (data if self.shard_states else 1))
        row = SIZE * (self.width + 4 * self.width / tensor)
        rows = min(pipeline, self.micro_batches) * self.rows(shape)
        return each * self.parameters / (pipeline * tensor) + rows * row * self.layers / pipeline


@dataclass(frozen=True)
class Forecast:
    """What a step on one mesh costs."""

    shape: Shape
    parts: Mapping[str, float]
    """Seconds by part: compute, bubble, tensor, pipeline, data."""
    node_bytes: float
    """What a node must hold."""

    @property
    def seconds(self) -> float:
        """Of a step."""
        return sum(self.parts.values())

    @property
    def name(self) -> str:
        """The shape as it is written: 8 x 1 x 8."""
        return " × ".join(map(str, self.shape))


def forecast(shape: Shape, job: Job, cluster: Cluster) -> Forecast:
    """What a step costs on this mesh of this cluster, rank 0's groups standing for all.

    Raises ``ValueError`` where stages, slices or micro-batches don't come out even.
    """
    job.check(shape)
    data, pipeline, tensor = shape
    blocks, rows, m = job.layers // pipeline, job.rows(shape), job.micro_batches
    f = job.flops(shape) / cluster.flops_per_s
    reduce = _all_reduce(cluster, rows * job.width, tensor, stride=1)
    links = [cluster.link(stage * tensor, (stage + 1) * tensor) for stage in range(pipeline - 1)]
    shard = job.parameters // (pipeline * tensor)
    parts = {
        "compute": m * blocks * 3 * f,
        "bubble": (pipeline - 1) * blocks * (3 * f + 2 * reduce),
        "tensor": m * blocks * 2 * reduce,
        "pipeline": sum(2 * (latency_s + SIZE * rows * job.width / rate) for latency_s, rate in links),
        "data": _all_reduce(cluster, shard, data, stride=pipeline * tensor),
    }
    return Forecast(shape, parts, job.node_bytes(shape))


def _all_reduce(cluster: Cluster, elements: int, nodes: int, stride: int) -> float:
    work = even_work("all_reduce", elements, nodes, SIZE)
    return cluster.collective_s(work, range(0, nodes * stride, stride))


def shapes(nodes: int) -> Iterator[Shape]:
    """All meshes (data, pipeline, tensor) of so many nodes."""
    for data in range(1, nodes + 1):
        for pipeline in range(1, nodes // data + 1):
            if nodes % (data * pipeline) == 0:
                yield data, pipeline, nodes // (data * pipeline)


def search(nodes: int, job: Job, cluster: Cluster) -> list[Forecast]:
    """A forecast for every mesh on which the job comes out even, the fastest first."""
    found = [forecast(shape, job, cluster) for shape in shapes(nodes) if job.fits(shape)]
    return sorted(found, key=lambda one: one.seconds)


def rehearse(node: Node, shape: Shape, job: Job) -> None:
    """A step's messages and compute spans without its arithmetic: zeros of the right sizes, GPipe's order.

    To be simulated, or run at the pace of a cluster: what `forecast` is checked against. Raises
    ``ValueError`` where `forecast` does.
    """
    check_shape(shape, node.world_size)
    job.check(shape)
    mesh = make_mesh(node, shape)
    stage, last = mesh.pipeline.rank, shape[1] - 1
    activation = torch.zeros(job.rows(shape), job.width)
    for ahead, times in ((1, 1), (-1, 2)):  # forward down the pipeline, backward up
        first, end = (0, last) if ahead == 1 else (last, 0)
        sent = []
        for _ in range(job.micro_batches):
            if stage != first:
                mesh.pipeline.recv(activation, stage - ahead)
            for _ in range(job.layers // shape[1]):
                with node.compute(flops=times * job.flops(shape)):
                    pass
                mesh.tensor.all_reduce(activation)
            if stage != end:
                sent.append(mesh.pipeline.isend(activation, stage + ahead))
        for message in sent:
            message.wait()
    mesh.data.all_reduce(torch.zeros(job.parameters // (shape[1] * shape[2])))
