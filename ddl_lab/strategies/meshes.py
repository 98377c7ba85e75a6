"""Which mesh: what a step costs and what a node must hold, by formula, for a network of equal blocks.

The network: ``layers`` blocks d -> 4d -> d, P = 8 d^2 layers parameters in float32, trained on ``tokens``
rows a step, cut into m micro-batches of b rows on each of D data groups. On a mesh D x P x T, with f
seconds for a block forward on a micro-batch and backward twice that, under 1F1B:

=========  ================================================================================
part       seconds of a step
=========  ================================================================================
compute    m (layers / P) 3f
tensor     m (layers / P) 2 all-reduces of (b, d) over T nodes
bubble     (P - 1) / m of both: stages that have nothing to do
pipeline   what messages of (b, d) between the stages make longer, by playing the schedule
data       one all-reduce of parameters / (P T) values over D nodes
=========  ================================================================================

``shards`` = n > 1 is FSDP, without a pipeline: along data n neighbours share out all of parameters,
gradients and states. Each block is gathered before it is used, while the one before computes, and its
gradient is reduced and scattered; what of that isn't hidden is the part "data". n = D is FSDP over the
whole data group, less than D is HSDP: then the D / n replicas all-reduce their shards once.

Seconds and bytes are of one schedule, and ``rehearsal.rehearse`` plays it. Exact where hosts hold whole
groups and a message between stages takes no longer than a stage's forward pass.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..cluster.collectives import even_work
from ..cluster.model import Cluster
from .hybrid import Shape
from .playing import play
from .schedules import by_stage, one_f_one_b, with_messages

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
    shards: int = 1
    """Over how many neighbours along data parameters, gradients and states are sharded; 1: not at all."""
    shard_states: bool = False
    """Whether Adam's states are sharded along data (ZeRO's stage 1), by a reduce-scatter and an all-gather.

    They send what the all-reduce sends. Stage 2 is no choice here: it reduces after every micro-batch.
    """

    def __post_init__(self) -> None:
        for name in ("width", "layers", "tokens", "micro_batches", "shards"):
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

    def slice_of_block(self, shape: Shape) -> int:
        """Parameters of a block on one node of a tensor group, whole."""
        return 8 * self.width**2 // shape[2]

    def fits(self, shape: Shape) -> bool:
        """Whether stages, slices, micro-batches and shards come out even; shards want no pipeline."""
        data, pipeline, tensor = shape
        even = self.layers % pipeline == 0 and 4 * self.width % tensor == 0
        even = even and self.tokens % (data * self.micro_batches) == 0 and data % self.shards == 0
        return even and (self.shards == 1 or pipeline == 1) and self.slice_of_block(shape) % self.shards == 0

    def check(self, shape: Shape) -> None:
        """Raise ``ValueError`` where something doesn't come out even."""
        if not self.fits(shape):
            raise ValueError(f"{self} doesn't come out even on the mesh {shape}")

    def node_bytes(self, shape: Shape) -> float:
        """What a node holds: parameters, gradients, Adam's two states, and the activations in flight.

        Of a micro-batch a block keeps its input (b, d) and its hidden units (b, 4d / T); in flight are P
        micro-batches on the first stage, which holds the most. With shards, three times a block whole
        comes on top: the one that computes, the next one, and a gradient.
        """
        data, pipeline, tensor = shape
        own = self.parameters / (pipeline * tensor * self.shards)
        states = 2 / (data // self.shards if self.shard_states else 1)
        whole = 3 * self.slice_of_block(shape) if self.shards > 1 else 0
        row = self.width + 4 * self.width / tensor
        rows = min(pipeline, self.micro_batches) * self.rows(shape)
        return SIZE * ((1 + 1 + states) * own + whole + rows * row * self.layers / pipeline)


@dataclass(frozen=True)
class Forecast:
    """What a step on one mesh costs."""

    shape: Shape
    job: Job
    parts: Mapping[str, float]
    """Seconds by part: compute, bubble, tensor, pipeline, data."""

    @property
    def seconds(self) -> float:
        """Of a step."""
        return sum(self.parts.values())

    @property
    def node_bytes(self) -> float:
        """What a node must hold."""
        return self.job.node_bytes(self.shape)

    @property
    def name(self) -> str:
        """The shape as it is written, 8 × 1 × 8, and how it is sharded: + FSDP, + HSDP 8, + ZeRO-1."""
        n = self.job.shards
        sharded = "" if n == 1 else "FSDP" if n == self.shape[0] else f"HSDP {n}"
        extra = [sharded] * bool(sharded) + ["ZeRO-1"] * self.job.shard_states
        return " + ".join([" × ".join(map(str, self.shape)), *extra])


def forecast(shape: Shape, job: Job, cluster: Cluster) -> Forecast:
    """What a step costs on this mesh of this cluster, rank 0's groups standing for all.

    Raises ``ValueError`` where stages, slices, micro-batches or shards don't come out even.
    """
    job.check(shape)
    _, pipeline, tensor = shape
    blocks, m = job.layers // pipeline, job.micro_batches
    f = job.flops(shape) / cluster.flops_per_s
    reduce = _seconds(cluster, "all_reduce", job.rows(shape) * job.width, range(tensor))
    parts = {"compute": m * blocks * 3 * f, "tensor": m * blocks * 2 * reduce}
    if job.shards > 1:
        rest = _sharded_s(shape, job, cluster, f, reduce) - sum(parts.values())
        return Forecast(shape, job, parts | {"bubble": 0.0, "pipeline": 0.0, "data": rest})
    parts["bubble"] = sum(parts.values()) * (pipeline - 1) / m
    longer = _played_s(shape, job, cluster, f, reduce) - sum(parts.values())
    parts["pipeline"] = max(longer, 0.0)  # rounding
    shard = job.parameters // (pipeline * tensor)
    parts["data"] = _seconds(cluster, "all_reduce", shard, _data_ranks(shape))
    return Forecast(shape, job, parts)


def _seconds(cluster: Cluster, name: str, elements: int, ranks: range) -> float:
    return cluster.collective_s(even_work(name, elements, len(ranks), SIZE), ranks)


def _data_ranks(shape: Shape) -> range:
    stride = shape[1] * shape[2]
    return range(0, shape[0] * stride, stride)


def _played_s(shape: Shape, job: Job, cluster: Cluster, f: float, reduce: float) -> float:
    """Of 1F1B with its messages."""
    blocks, nbytes = job.layers // shape[1], SIZE * job.rows(shape) * job.width

    def message_s(stage: int, peer: int) -> float:
        latency_s, rate = cluster.link(stage * shape[2], peer * shape[2])
        return latency_s + nbytes / rate

    schedule = with_messages(by_stage(one_f_one_b, shape[1], job.micro_batches))
    return play(schedule, blocks * (f + reduce), blocks * (2 * f + reduce), message_s).elapsed_s


def _sharded_s(shape: Shape, job: Job, cluster: Cluster, f: float, reduce: float) -> float:
    """Of FSDP: ``now`` on the node's clock, ``free`` when its link is: one collective after another."""
    ranks, block = _data_ranks(shape), job.slice_of_block(shape)
    gather, scatter = (
        _seconds(cluster, name, block, ranks[: job.shards]) for name in ("all_gather", "reduce_scatter")
    )
    uses = ([1] * job.layers + [2] * job.layers) * job.micro_batches  # forward, backward, micro by micro
    now, here, free, scattered = 0.0, gather, gather, 0.0
    for place, times in enumerate(uses):
        now = max(now, here)  # the block is there
        if place + 1 < len(uses):
            here = free = max(now, free) + gather  # the next one
        now += times * f
        if shape[2] > 1:
            now = free = max(now, free) + reduce
        if times == 2:
            now = max(now, scattered)
            scattered = free = max(now, free) + scatter
    shard = job.parameters // (shape[2] * job.shards)
    return max(now, scattered) + _seconds(cluster, "all_reduce", shard, ranks[:: job.shards])


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


def __getattr__(name: str) -> Any:
    """``rehearse`` was here before it had a file of its own: a learner's copy of a lab still finds it."""
    if name == "rehearse":
        return importlib.import_module(".rehearsal", __package__).rehearse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
