"""``Cluster.measure``: this machine's speed, latency and bandwidth, for the cost model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, median, quantiles
from typing import Any

import torch
from torch import Tensor

from ..cluster.model import CALIBRATIONS, Cluster
from ..counted import counted
from ..node.node import Node
from ..processes.run import run
from ..processes.watch.supervisor import available_cores
from ..ranges import check_count
from ..tables import in_words
from ..training.data import Digits, load_digits
from ..training.loss import bce_with_logits
from ..training.model import gradient, make_model, parameters, sgd_step
from ..training.shards import endless

BATCH = 64
REPEATS = 15
_WARM_STEPS, _STEPS = 60, 40  # 40 steps of the article's network take a few hundredths of a second
_TURNS = 10  # messages each way a repeat
BUSY = 0.2  # scatter of the measured speed; an idle machine shows a few hundredths
_MOST_SLOWER = 1.6  # a spread of 1.8: beyond it the machine had other work
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

    @property
    def refusal(self) -> str:
        """Why nothing should be predicted from these numbers; empty where they are steady enough."""
        if self.scatter <= BUSY:
            return ""
        return (
            f"This machine was too busy to be measured: its speed scattered by {self.scatter:.0%}, and more "
            f"than {BUSY:.0%} says nothing about the next run. End what else computes, and measure again."
        )

    def _rows(self) -> list[tuple[str, str]]:
        units = {
            "speeds": "samples/s",
            "flops_per_s": "FLOP/s",
            "latency_s": "s",
            "bandwidth_bytes_per_s": "B/s",
        }
        told = [
            (f"{name} lay in", f"{in_words(low, units[name])} to {in_words(high, units[name])}")
            for name, (low, high) in self.spread.items()
        ]
        here = ("measured", f"over {self.transport}, on {counted(self.cores, 'core')}")
        refused = [("refused", self.refusal)] if self.refusal else []
        return [here, *super()._rows(), *told, *refused]


def measure(transport: str = "auto", nodes: int = 2, tries: int = 1) -> MeasuredCluster:
    """Measure this machine with ``nodes`` processes, 2 or more, in a few seconds; medians of 15 repeats.

    All is measured where it happens, between steps of training the article's network, 64 samples each: memory
    that was just computed with is slower to send, and a rank that has waited takes longer to hear.

    1. ``speeds``: samples over all time of a step but that of its all-reduce: batch, gradient, update.
    2. ``flops_per_s``: 4 operations a weight and sample, over the time of the gradient alone.
    3. ``latency_s``: of one float to a rank that waits for it, from the call of send to the return of recv.
    4. ``bandwidth_bytes_per_s``: of a tensor as large as the gradient, after that latency.
    5. ``jitter_spread``: of log-normal times of which the slower of two is as slow as it was here.

    On a machine that does other work meanwhile the numbers are lower, and ``.spread`` is wide; where it is
    too wide, ``.refusal`` says so, and it is measured again, up to ``tries`` times: the steadiest counts.
    Raises what ``run`` raises.
    """
    check_count("nodes", nodes, "2 or more: messages need two")
    check_count("tries", tries, "each takes some seconds")
    if nodes < 2:
        raise ValueError("nodes=1: messages need two processes or more.")
    steadiest = _once(transport, nodes)
    for _ in range(tries - 1):
        if not steadiest.refusal:
            break
        steadiest = min(steadiest, _once(transport, nodes), key=lambda found: found.scatter)
    return steadiest


def _once(transport: str, nodes: int) -> MeasuredCluster:
    history = run(_measured, nodes, transport=transport, args=(load_digits(),), progress=False)
    samples = _samples(history.results)
    middle = {name: median(values) for name, values in samples.items()}
    slower = median(_slower_of_two(*[result["steps_s"] for result in history.results[:2]]))
    return MeasuredCluster(
        speeds=middle["speeds"],
        flops_per_s=middle["flops_per_s"],
        latency_s=middle["latency_s"],
        bandwidth_bytes_per_s=middle["bandwidth_bytes_per_s"],
        jitter="lognormal",
        jitter_spread=spread_of(slower),
        transport=str(history.about["transport"]),
        cores=available_cores(),
        spread={name: _middle_half(values) for name, values in samples.items()},
    )


def _samples(results: Sequence[dict[str, Any]]) -> Samples:
    """By field of the cluster, each repeat's value."""
    weights = parameters(make_model(seed=0)).numel()
    first, second = results[:2]
    latencies = _one_way_s(first["small"], second["small"])
    latency_s = median(latencies)
    larges = _one_way_s(first["large"], second["large"])
    moving_s = [max(large - latency_s, 0.1 * large) for large in larges]  # a busy machine swaps the two
    gradients_s = [s for result in results for s in _means(result["gradients_s"], _STEPS)]
    return {
        "speeds": [BATCH / s for result in results for s in _means(result["steps_s"], _STEPS)],
        "flops_per_s": [_FLOPS_A_WEIGHT * weights * BATCH / s for s in gradients_s],
        "latency_s": latencies,
        "bandwidth_bytes_per_s": [4 * weights / s for s in moving_s],
    }


def _means(values: Sequence[float], count: int) -> list[float]:
    """The means of ``count`` values each, one after another."""
    return [fmean(values[i : i + count]) for i in range(0, len(values), count)]


def _one_way_s(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Seconds of a message in each repeat; both lists hold, in turns, when one was sent or had arrived."""
    took = [abs(b - a) for a, b in zip(first, second, strict=True)]
    return _means(took, 2 * _TURNS)


def _slower_of_two(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """In each repeat, the mean of the slower of two ranks' steps over the mean of all."""
    slower = _means([max(pair) for pair in zip(one, other, strict=True)], _STEPS)
    means = _means([fmean(pair) for pair in zip(one, other, strict=True)], _STEPS)
    return [a / b for a, b in zip(slower, means, strict=True)]


def spread_of(slower: float) -> float:
    """The spread of log-normal times of which the larger of two has on average ``slower`` times the mean.

    That is 2 Φ(σ / √2), σ being the standard deviation of the logarithm, and Φ the normal distribution. The
    spread is the deviation of the times themselves over their mean, 0.001 or more.
    """
    sigma = math.sqrt(2) * NormalDist().inv_cdf(min(max(slower, 1.0), _MOST_SLOWER) / 2)
    return max(1e-3, math.sqrt(math.expm1(sigma * sigma)))


def _middle_half(values: Sequence[float]) -> tuple[float, float]:
    low, _, high = quantiles(values, n=4)
    return low, high


def _measured(node: Node, digits: Digits) -> dict[str, list[float]]:
    """What each process of ``measure`` does: all times, in seconds."""
    training = _Training(node, digits)
    told = {"steps_s": training.steps_s, "gradients_s": training.gradients_s}
    for _ in range(_WARM_STEPS + REPEATS * _STEPS):
        gradient = training.step()
        node.all_reduce(gradient, op="mean")
        training.update(gradient)
    for times in told.values():
        del times[:_WARM_STEPS]
    large = torch.zeros_like(parameters(training.model))
    for name, tensor in ("small", large[:1].clone()), ("large", large):
        told[name] = _in_turns(node, tensor, training) if node.rank < 2 else []
    return {name: list(times) for name, times in told.items()}


def _in_turns(node: Node, tensor: Tensor, training: _Training) -> list[float]:
    """Ranks 0 and 1 send to each other after a step each: when it was called, or had arrived."""
    times = []
    for _ in range(REPEATS * _TURNS):
        for source in (0, 1):
            if node.rank == source:
                training.step()
                times.append(node.now())
                node.send(tensor, 1 - source)
            else:
                node.recv(tensor, source)
                times.append(node.now())
    return times


class _Training:
    """Steps of training, and how long this rank took for each and for its gradient."""

    def __init__(self, node: Node, digits: Digits) -> None:
        self.node, self.model = node, make_model(seed=0)
        self.steps_s: list[float] = []
        self.gradients_s: list[float] = []
        self._data = endless(digits.train, node, BATCH)

    def step(self) -> Tensor:
        """The gradient of the next batch."""
        began = self.node.now()
        x, y = next(self._data)
        with self.node.compute(samples=len(x)):
            started = self.node.now()
            found = gradient(bce_with_logits(self.model(x), y), self.model)
            ended = self.node.now()
        self.gradients_s.append(ended - started)
        self.steps_s.append(ended - began)
        return found

    def update(self, mean: Tensor) -> None:
        """The same step's update."""
        began = self.node.now()
        sgd_step(self.model, mean, lr=0.1)
        self.steps_s[-1] += self.node.now() - began


CALIBRATIONS["measure"] = measure
