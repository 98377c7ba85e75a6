"""The server's average over unequal batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...node.node import Node
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import compare
from .shared import served


def _weighted_average(node, size):  # type: ignore[no-untyped-def]
    total, samples = torch.zeros(size), 0.0
    box = torch.empty(size + 1)
    for worker in range(1, node.world_size):
        node.recv(box, worker)
        pushed, count = box[:size], box[size].item()
        total += count * pushed
        samples += count
    return total / samples


COUNTS = (30, 10, 8, 2)


def _pushed(worker: int, size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(worker))


def _average(node: Node, answer: Answer, size: int) -> Any:
    if node.rank == 0:
        return answer(node, size)
    count = torch.tensor([float(COUNTS[node.rank - 1])])
    node.send(torch.cat([_pushed(node.rank, size), count]), 0)
    return None


def _check_average(answer: Answer) -> str:
    for workers in (4, 2, 1):
        size, counts = 5, COUNTS[:workers]
        got = served("every worker pushes once", _average, workers + 1, answer, size).results[0]
        if isinstance(got, Tensor) and got.shape == (size + 1,):
            raise Wrong("the last entry of each push is a count and no part of the gradient: cut it off")
        pushed = [_pushed(worker + 1, size) for worker in range(workers)]
        weighted = torch.stack([n * g for n, g in zip(counts, pushed, strict=True)]).sum(0)
        told = ", ".join(map(str, counts))
        compare(
            got,
            weighted / sum(counts),
            f"the average over {workers} workers with {told} digits",
            (f"that is the plain mean over {workers} workers: a digit of the smallest batch then counts "
             f"{max(counts) // min(counts)} times as much as one of the largest",
             torch.stack(pushed).mean(0)),
            (f"you divide by the {workers} workers: divide by all {sum(counts)} digits", weighted / workers),
            (f"you weight by the counts and don't divide by their sum, {sum(counts)}", weighted),
            ("that is the sum of the gradients, whatever their digits", torch.stack(pushed).sum(0)),
        )  # fmt: skip
    return "1, 2 and 4 workers with unequal batches: each digit counts alike"


average = Exercise(
    key="06.average",
    title="The server's average",
    difficulty=1,
    minutes=6,
    reference=_weighted_average,
    check=_check_average,
    hints=(
        "Receive into a box of size + 1, from one worker after another.",
        "`box[:size]` is the gradient, `box[size]` the number of digits behind it.",
        "Σ nᵢ gᵢ / Σ nᵢ: keep both sums as you go, and divide at the end.",
    ),
)
