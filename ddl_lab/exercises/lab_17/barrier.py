"""A step of Spark's barrier stage: gradients travel as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...counted import counted
from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes
from ..machine import Exercise

COUNT = 1200  # more than NumPy prints


def _mean_by_text(context, gradient):  # type: ignore[no-untyped-def]
    texts = context.allGather(gradient.tobytes().hex())
    gradients = [np.frombuffer(bytes.fromhex(text), np.float32) for text in texts]
    return sum(gradients) / np.float32(len(texts))


class StandIn:
    """A ``BarrierTaskContext`` over simulated nodes: texts in, texts out."""

    def __init__(self, node: Node) -> None:
        self._node, self.calls = node, 0

    def partitionId(self) -> int:
        """Which of the tasks this is."""
        return self._node.rank

    def getTaskInfos(self) -> list[str]:
        """One entry a task of the stage."""
        return ["127.0.0.1"] * self._node.world_size

    def barrier(self) -> None:
        """Wait for all tasks."""
        self._node.barrier()

    def allGather(self, message: str = "") -> list[str]:
        """The texts of all tasks, by their number."""
        self.calls += 1
        if not isinstance(message, str):
            raise Wrong(
                f"allGather got a {type(message).__name__}: Spark gathers text (str) and nothing else"
            )
        mine = torch.frombuffer(bytearray(message.encode() or b"\0"), dtype=torch.uint8)
        sizes = torch.zeros(self._node.world_size, dtype=torch.int64)
        self._node.all_gather(sizes, torch.tensor([len(message.encode())]))
        box = torch.zeros(max(1, int(sizes.max())), dtype=torch.uint8)
        box[: len(mine)] = mine
        found = torch.zeros(self._node.world_size * len(box), dtype=torch.uint8)
        self._node.all_gather(found, box)
        parts = found.view(self._node.world_size, -1)
        return [
            part[:size].numpy().tobytes().decode() for part, size in zip(parts, sizes.tolist(), strict=True)
        ]


def _mine(rank: int) -> np.ndarray:
    """A gradient; every third number is tiny, as many of a real one are."""
    numbers = np.random.RandomState([17, rank]).standard_normal(COUNT) * 3**rank
    numbers[::3] *= 1e-5
    return numbers.astype(np.float32)


def _alike(got: np.ndarray, right: np.ndarray, everyone: list[np.ndarray]) -> bool:
    """Whether both are equal to the rounding of a float32's sums, number by number."""
    return bool((np.abs(got - right) <= 3e-7 * np.abs(everyone).sum(axis=0)).all())


def _worker(node: Node, answer: Answer) -> Any:
    context, gradient = StandIn(node), _mine(node.rank)
    got = answer(context, gradient)
    if not np.array_equal(gradient, _mine(node.rank)):
        raise Wrong("your function changes its argument gradient: return the mean, and leave it as it was")
    return (None if got is None else torch.as_tensor(np.array(got, dtype=np.float64))), context.calls


def _check_barrier(answer: Answer) -> str:
    for nodes in (1, 2, 4):
        everyone = [_mine(rank).astype(np.float64) for rank in range(nodes)]
        results = on_nodes(_worker, nodes, answer).results
        for rank, (got, calls) in reversed([*enumerate(results)]):  # task 0's own is also that of task 0
            told = f"on {counted(nodes, 'task')}, task {rank}'s mean"
            if got is None:
                raise Wrong(f"{told} is None: is there a `return` in your function?")
            _check_mean(got.numpy(), everyone, rank, told)
            if calls > 1:
                raise Wrong(f"the numbers are right, but task {rank} gathers {calls} times: once is enough")
    return "1, 2 and 4 tasks: the mean of all, gathered once, as text"


def _check_mean(got: np.ndarray, everyone: list[np.ndarray], rank: int, told: str) -> None:
    mean = np.mean(everyone, axis=0)
    if got.shape != mean.shape:
        raise Wrong(f"{told} has shape {got.shape}: {mean.shape} was asked, one number a parameter")
    if _alike(got, mean, everyone):
        return
    likely = {
        "is the sum of all tasks': divide by how many there are": mean * len(everyone),
        "is its own gradient: take what allGather returns": everyone[rank],
        "is that of task 0": everyone[0],
        "has its own gradient twice: allGather returns this task's text, too": mean
        + everyone[rank] / len(everyone),
    }
    for words, wrong in likely.items():
        if _alike(got, wrong, everyone):
            raise Wrong(f"{told} {words}")
    worst = float(np.abs(got - mean).max())
    if worst < 0.02 * np.abs(mean).max():
        raise Wrong(
            f"{told} is off by up to {worst:.1g}: your text has lost digits. Write all of them, or bytes"
        )
    raise Wrong(f"{told} begins with {got[:3].round(4)}, and the mean with {mean[:3].round(4)}")


barrier = Exercise(
    key="17.barrier",
    title="A step of Spark's barrier stage",
    difficulty=2,
    minutes=10,
    reference=_mean_by_text,
    check=_check_barrier,
    hints=(
        "`context.allGather(text)` returns the texts of all tasks, this one's too, by their number.",
        "Bytes as text: `.tobytes().hex()`; back: `np.frombuffer(bytes.fromhex(text), np.float32)`.",
        "Gather once, turn all texts into arrays, add them up, divide by how many there are.",
    ),
)
