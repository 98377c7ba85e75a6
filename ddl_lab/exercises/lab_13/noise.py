"""The noise scale, from what the nodes of a data-parallel step know anyway."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes
from ..machine import Exercise
from ..values import number

SIZE = 40


def _scale_of(node, gradient, batch):  # type: ignore[no-untyped-def]
    n = node.world_size
    message = torch.cat([gradient, (gradient @ gradient).reshape(1)])
    node.all_reduce(message, op="mean")
    small, large = message[-1], message[:-1] @ message[:-1]
    signal = (n * large - small) / (n - 1)
    noise = (small - large) * batch * n / (n - 1)
    return (noise / signal).item()


def mine(node: Node, seed: int, signal: float) -> Tensor:
    """This rank's mean gradient: what all share, and noise of its own."""
    shared = torch.randn(SIZE, generator=torch.Generator().manual_seed(1000 + seed)) * signal
    return shared + torch.randn(SIZE, generator=torch.Generator().manual_seed(100 * seed + node.rank))


def _worker(node: Node, answer: Answer, batch: int, seed: int, signal: float) -> float:
    got = answer(node, mine(node, seed, signal), batch)
    return number(got, f"rank {node.rank}'s noise scale")


CASES = ((4, 25, 1, 1.0), (2, 50, 2, 2.0), (8, 10, 3, 0.5), (4, 25, 9, 0.0))  # nodes, batch, seed, signal


def _check_noise(answer: Answer) -> str:
    for nodes, batch, seed, signal in CASES:
        right = on_nodes(_worker, nodes, _scale_of, batch, seed, signal)
        got = on_nodes(_worker, nodes, answer, batch, seed, signal)
        for rank, (scale, asked) in enumerate(zip(got.results, right.results, strict=True)):
            if not abs(scale - asked) <= 2e-3 * abs(asked):
                _name_the_fault(scale, asked, (nodes, batch, seed, signal), rank)
        most = max(right.bytes_sent) + 8 * nodes + 64
        if max(got.bytes_sent) > most:
            raise Wrong(
                f"the numbers are right, but of {nodes} nodes one sends {max(got.bytes_sent):,} bytes where "
                f"{max(right.bytes_sent):,} do: the gradient, reduced, and one number are all that travels, "
                "in float32"
            )
    return "2, 4 and 8 nodes, and one estimate that is negative"


def _name_the_fault(got: float, asked: float, case: tuple[int, int, int, float], rank: int) -> None:
    nodes, batch, seed, signal = case
    told = f"{nodes} nodes of {batch} samples, rank {rank}: {got:.4g}, and {asked:.4g} was asked"
    gradients = on_nodes(mine, nodes, seed, signal).results
    small = sum(float(g @ g) for g in gradients) / nodes
    whole = torch.stack(gradients).mean(0)
    large = float(whole @ whole)
    own = float(gradients[rank] @ gradients[rank])
    for words, formula in FAULTS.items():
        wrong = formula(small, large, nodes, batch, own)
        if abs(got - wrong) <= 2e-3 * abs(wrong):
            raise Wrong(f"{told}: {words}")
    raise Wrong(told)


def _right(small: float, large: float, n: int, b: int) -> tuple[float, float]:
    return (n * large - small) / (n - 1), (small - large) * b * n / (n - 1)


def _from(small: float, large: float, n: int, b: int) -> float:
    signal, noise = _right(small, large, n, b)
    return noise / signal


Formula = Callable[
    [float, float, int, int, float], float
]  # of small, large (the whole's), n, b and this rank's |g|²
FAULTS: dict[str, Formula] = {
    "the wrong way round: that is signal over noise": lambda s, w, n, b, own: 1 / _from(s, w, n, b),
    "the batch is missing: noise is that of one sample": lambda s, w, n, b, own: _from(s, w, n, b) / b,
    "the mean gradient's square has noise in it, too, a part of 1 / (n · batch): take it away": (
        lambda s, w, n, b, own: _right(s, w, n, b)[1] / w
    ),
    "the nodes' squares have noise in them: |G|² is less": lambda s, w, n, b, own: _right(s, w, n, b)[1] / s,
    "squares of lengths were asked, not lengths": lambda s, w, n, b, own: _from(s**0.5, w**0.5, n, b),
    "small is the mean over all nodes of |g|², not this rank's alone": (
        lambda s, w, n, b, own: _from(own, w, n, b)
    ),
    "the difference is noise · (1 / batch − 1 / (n · batch)): n / (n − 1) is missing": (
        lambda s, w, n, b, own: (s - w) * b / _right(s, w, n, b)[0]
    ),
    "an estimate may be negative: without its sign, a mean over steps is wrong": (
        lambda s, w, n, b, own: abs(_from(s, w, n, b))
    ),
    "an estimate may be negative: cut off at 0, a mean over steps is wrong": (
        lambda s, w, n, b, own: max(0.0, _from(s, w, n, b))
    ),
}


noise = Exercise(
    key="13.noise",
    title="The noise scale from the nodes' gradients",
    difficulty=2,
    minutes=12,
    reference=_scale_of,
    check=_check_noise,
    hints=(
        "Two numbers: small, the mean over all nodes of |g|², and large, |mean gradient|². Each is "
        "|G|² + noise / (samples in it).",
        "small = |G|² + noise / batch, large = |G|² + noise / (n · batch): two equations, two unknowns.",
        "|G|² = (n · large − small) / (n − 1); noise = (small − large) · batch · n / (n − 1).",
    ),
)
