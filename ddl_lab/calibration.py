"""``Cluster.measure``: this machine's speed, latency and bandwidth, for the cost model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

import torch

from .cluster.model import CALIBRATIONS, Cluster
from .data import load_digits
from .loss import bce_with_logits
from .model import gradient, make_model, parameters, sgd_step
from .node import Node
from .processes.run import run
from .processes.supervisor import available_cores
from .ranges import check_count
from .shards import batches
from .tables import in_words

BATCH = 64
REPEATS = 15
_WARM_STEPS, _STEPS = 100, 40  # 40 steps of the article's network take a few hundredths of a second
_SMALL, _LARGE = 40, 8  # messages there and back a repeat
_FLOPS_A_WEIGHT = 4  # a sample multiplies and adds twice by each weight: its output, and its gradient

Samples = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True, repr=False)
class MeasuredCluster(Cluster):
    """A ``Cluster`` with the numbers of the machine it was measured on, and how far they scattered."""

    transport: str = "shm"
    """Over which the messages went."""
    cores: int = 1
    """Cores that processes here may use: with more nodes than that the model does not hold."""
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By field: between which values the middle half of the repeats lay."""

    @property
    def scatter(self) -> float:
        """How far apart the middle half of the speeds lay, over the speed: above 0.2 the machine was busy."""
        low, high = self.spread.get("speeds", (0.0, 0.0))
        return (high - low) / self.speed(0)

    def _rows(self) -> list[tuple[str, str]]:
        units = {"speeds": "samples/s", "latency_s": "s", "bandwidth_bytes_per_s": "B/s"}
        told = [
            (f"{name} lay in", f"{in_words(low, units[name])} to {in_words(high, units[name])}")
            for name, (low, high) in self.spread.items()
        ]
        here = ("measured", f"over {self.transport}, on {self.cores} core{'s' * (self.cores > 1)}")
        return [here, *super()._rows(), *told]


def measure(transport: str = "auto", nodes: int = 2) -> MeasuredCluster:
    """Measure this machine with ``nodes`` processes, 2 or more, in a few seconds; medians of 15 repeats.

    1. Speed: all ranks train the article's network at once, 64 samples a step: batch, gradient, update.
       ``flops_per_s`` is that speed times 4 operations a weight and sample.
    2. Latency: half the time of one float from rank 0 to rank 1 and back.
    3. Bandwidth: that of a tensor as large as the gradient, after the latency.

    On a machine that does other work meanwhile the numbers are lower, and ``.spread`` is wide. Raises what
    ``run`` raises.
    """
    check_count("nodes", nodes, "2 or more: messages need two")
    if nodes < 2:
        raise ValueError("nodes=1: messages need two processes or more.")
    history = run(_measured, nodes, transport=transport, args=(load_digits(),), progress=False)
    samples: Samples = history.results[0] | {"speeds": [s for r in history.results for s in r["speeds"]]}
    middle = {name: median(values) for name, values in samples.items()}
    spread = {name: _middle_half(values) for name, values in samples.items()}
    weights = parameters(make_model(seed=0)).numel()
    return MeasuredCluster(
        speeds=middle["speeds"],
        flops_per_s=_FLOPS_A_WEIGHT * weights * middle["speeds"],
        latency_s=middle["latency_s"],
        bandwidth_bytes_per_s=middle["bandwidth_bytes_per_s"],
        transport=str(history.about["transport"]),
        cores=available_cores(),
        spread=spread,
    )


def _middle_half(values: Sequence[float]) -> tuple[float, float]:
    low, _, high = quantiles(values, n=4)
    return low, high


def _measured(node: Node, digits: object) -> Samples:
    """What each process of ``measure`` does."""
    speeds = _speeds(node, digits)
    node.barrier()
    if node.rank > 1:
        return {"speeds": speeds}
    tensor = torch.zeros_like(parameters(make_model(seed=0)))
    small, large = tensor[:1].clone(), tensor
    latencies, bandwidths = [], []
    for _ in range(REPEATS):
        latencies.append(_one_way_s(node, small, _SMALL))
        moving_s = max(_one_way_s(node, large, _LARGE) - latencies[-1], 1e-9)
        bandwidths.append(large.nbytes / moving_s)
    return {"speeds": speeds, "latency_s": latencies, "bandwidth_bytes_per_s": bandwidths}


def _speeds(node: Node, digits: object) -> list[float]:
    model = make_model(seed=0)
    step = _stepper(node, digits, model)
    for _ in range(_WARM_STEPS):
        step()
    node.barrier()
    speeds = []
    for _ in range(REPEATS):
        began = node.now()
        samples = sum(step() for _ in range(_STEPS))
        speeds.append(samples / (node.now() - began))
    return speeds


def _stepper(node: Node, digits: object, model: torch.nn.Module) -> Callable[[], int]:
    """A function that takes one training step and returns its samples."""

    def endless():  # type: ignore[no-untyped-def]
        epoch = 0
        while True:
            yield from batches(digits.train, node, BATCH, epoch=epoch)  # type: ignore[attr-defined]
            epoch += 1

    data = endless()

    def step() -> int:
        x, y = next(data)
        sgd_step(model, gradient(bce_with_logits(model(x), y), model), lr=0.1)
        return len(x)

    return step


def _one_way_s(node: Node, tensor: torch.Tensor, count: int) -> float:
    """Seconds of one message between ranks 0 and 1: half of there and back."""
    began = node.now()
    for _ in range(count):
        if node.rank == 0:
            node.send(tensor, 1)
            node.recv(tensor, 1)
        else:
            node.recv(tensor, 0)
            node.send(tensor, 0)
    return (node.now() - began) / (2 * count)


CALIBRATIONS["measure"] = measure
