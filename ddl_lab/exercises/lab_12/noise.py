"""Each node's part of the noise."""

from __future__ import annotations

import torch

from ...counted import counted
from ..helpers import Answer, Wrong, call, same_shape
from ..machine import Exercise

COUNT = 40_000
CASES = ((1, 1.6, 2.5), (5, 1.3, 2.7), (9, 0.6, 3.1), (16, 2.1, 0.45))  # nodes, clip, sigma


def _noisy(total, clip, sigma, nodes, generator):  # type: ignore[no-untyped-def]
    deviation = sigma * clip / nodes**0.5
    return total + deviation * torch.randn(total.shape, generator=generator)


def _check_noise(answer: Answer) -> str:
    for nodes, clip, sigma in CASES:
        own = torch.linspace(-2, 2, COUNT)
        sent = []
        for rank in range(nodes):
            got = call(answer, own, clip, sigma, nodes, torch.Generator().manual_seed(100 * nodes + rank))
            same_shape(got, own, "what your function returns")
            sent.append(got - own)
        told = f"{counted(nodes, 'node')}, clip {clip:g}, sigma {sigma:g}"
        again = call(answer, own, clip, sigma, nodes, torch.Generator().manual_seed(100 * nodes))
        if not torch.equal(again - own, sent[0]):
            raise Wrong(
                f"{told}: the same generator gives other noise: draw it from the one that is handed in"
            )
        if nodes > 1 and torch.allclose(sent[0], sent[1]):
            raise Wrong(f"{told}: all nodes draw the same noise: use the generator that is handed in")
        _check_total(sent[0].double(), own.double(), told)
        _check_deviation(sum(sent[1:], sent[0]), sigma * clip, nodes, told, clip, sigma)
        used = torch.Generator().manual_seed(100 * nodes)
        torch.rand(1, generator=used)
        if nodes > 1 and torch.equal(call(answer, own, clip, sigma, nodes, used) - own, sent[0]):
            raise Wrong(
                f"{told}: a generator that has drawn before gives the same noise, so yours is the same at "
                "each step: draw it from the one that is handed in, not by its seed"
            )
    return "1, 5, 9 and 16 nodes: the sum's noise has deviation sigma · clip"


def _check_total(noise: torch.Tensor, own: torch.Tensor, told: str) -> None:
    part = 1 + float(noise @ own / (own @ own))
    if abs(part - 1) > 0.15:
        times = "isn't" if abs(part) < 0.15 else f"is {part:.2g} times"
        raise Wrong(f"{told}: total {times} in what you return: total + noise was asked")


def _check_deviation(
    noise: torch.Tensor, asked: float, nodes: int, told: str, clip: float, sigma: float
) -> None:
    found, middle = float(noise.std()), float(noise.mean())
    if not found:
        raise Wrong(f"{told}: there is no noise in it")
    if found < 1e-3 * abs(middle):
        raise Wrong(f"{told}: all entries get the same number: draw one for each, of total's shape")
    if abs(middle) > 0.05 * max(asked, found):
        raise Wrong(f"{told}: the noise is {middle:.3g} on average, and must be 0: draw it with torch.randn")
    if abs(found / asked - 1) > 0.02:
        for words, factor in (
            ("each node adds all of it: then the sum has √n times the deviation, and the network pays for "
             "privacy that nobody asked for", nodes**0.5),
            ("variances add up, not deviations: divide by √n, not by n", nodes**-0.5),
            ("it grows with the nodes: each one's part is smaller, the more there are", float(nodes)),
            ("clip is missing: the deviation is sigma · clip", 1 / clip),
            ("sigma is missing: the deviation is sigma · clip", 1 / sigma),
            ("the deviation is sigma · clip; you took its square", asked),
            ("the deviation is sigma · clip; you took its root", asked**-0.5),
        ):  # fmt: skip
            if factor != 1 and abs(found / (asked * factor) - 1) < 0.02:
                raise Wrong(f"{told}: the sum's noise has deviation {found:.3g} for {asked:.3g}: {words}")
        raise Wrong(f"{told}: the sum's noise has deviation {found:.3g}, and {asked:.3g} was asked")
    fourth = float((noise / noise.std()).pow(4).mean())
    if nodes == 1 and abs(fourth - 3) > 0.2:
        raise Wrong(
            f"{told}: the noise isn't Gaussian, which the accountant takes it for: draw it with torch.randn"
        )


noise = Exercise(
    key="12.noise",
    title="Each node's part of the noise",
    difficulty=2,
    minutes=6,
    reference=_noisy,
    check=_check_noise,
    hints=(
        "The *sum* over all nodes must have noise of deviation sigma · clip; what do n equal parts have?",
        "Variances of independent noises add up: each has a variance of (sigma · clip)² / n.",
        "`torch.randn(total.shape, generator=generator)` times sigma · clip / nodes ** 0.5.",
    ),
)
