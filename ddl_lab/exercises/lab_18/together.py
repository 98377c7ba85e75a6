"""A stop that all ranks take together."""

from __future__ import annotations

from typing import Any

import torch

from ...counted import counted
from ...errors import CollectiveMismatch, DeadlockError, LabError
from ...history.history import History
from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes
from ..machine import Exercise
from ..values import whole

# nodes, the step from which on rank 0 finds the net good enough, most steps
CASES = ((2, 3, 9), (4, 1, 9), (5, 6, 6), (3, 99, 4), (1, 2, 5), (4, 7, 30))


def _train_together(node, step, passed, most):  # type: ignore[no-untyped-def]
    enough = torch.zeros(1)
    for made in range(1, most + 1):
        step()
        if node.rank == 0:
            enough.fill_(passed())
        node.broadcast(enough, src=0)  # after every step, whatever rank 0 found
        if enough.item():
            return made
    return most


def _worker(node: Node, answer: Answer, good_at: int, most: int) -> Any:
    made = 0

    def step() -> None:
        nonlocal made
        made += 1
        node.record(made=made)
        if made > most + 2:
            raise RuntimeError(f"{made} steps, and {most} at most were asked")
        node.all_reduce(torch.zeros(3))

    def passed() -> bool:
        node.record(looked=made)
        return node.rank == 0 and made >= good_at

    return answer(node, step, passed, most)


def _check_together(answer: Answer) -> str:
    for nodes, good_at, most in CASES:
        told = f"{counted(nodes, 'node')}, good enough at step {good_at}, {counted(most, 'step')} at most"
        if good_at > most:
            told = f"{counted(nodes, 'node')}, never good enough, {counted(most, 'step')} at most"
        try:
            history = on_nodes(_worker, nodes, answer, good_at, most)
        except LabError as error:
            assert error.history is not None
            _name_who_left(error, error.history, told, most)
            raise
        _only_rank_0_looks(history, told)
        _all_as_asked(history, min(good_at, most), told, most)
    return "1 to 5 nodes; good enough at once, at the last step and never"


def _rows(history: History, name: str) -> list[int]:
    """For each rank the largest ``made`` or ``looked`` that it recorded; −1 where there is none."""
    metrics = history.metrics
    if name not in metrics:
        return [-1] * history.nodes
    largest = metrics.groupby("rank")[name].max().fillna(-1)
    return [int(largest.get(rank, -1)) for rank in range(history.nodes)]


def _only_rank_0_looks(history: History, told: str) -> None:
    for rank, looked in enumerate(_rows(history, "looked")):
        if rank and looked >= 0:
            raise Wrong(f"{told}: rank {rank} calls passed(), and the digits for it lie on rank 0 alone")


def _name_who_left(error: LabError, history: History, told: str, most: int) -> None:
    """Raise ``Wrong`` where the steps that each rank began tell what went wrong; else nothing."""
    _only_rank_0_looks(history, told)
    first, *others = _rows(history, "made")
    if max(first, *others) > most:
        raise Wrong(f"{told}: step {most + 1} is begun; stop after `most`, whatever rank 0 finds")
    if isinstance(error, DeadlockError) and others and min(others) > first and not _waits(error, 0):
        raise Wrong(
            f"{told}: rank 0 leaves after step {first}, and the others wait for it in step {first + 1}: a "
            "deadlock. They have to hear of it before they go on"
        )
    behind = 1 + others.index(min(others)) if others else 0
    if isinstance(error, DeadlockError) and behind and min(others) < first and not _waits(error, behind):
        raise Wrong(
            f"{told}: others leave after step {min(others)}, and rank 0 waits for them in step {first}: a "
            "deadlock"
        )
    if isinstance(error, CollectiveMismatch) and others and min(others) > first:
        raise Wrong(
            f"{told}: after step {first} rank 0 tells the others, and they are in step {first + 1} already, "
            "where nobody listens. Tell after every step, also that it goes on"
        )
    if (
        isinstance(error, DeadlockError | CollectiveMismatch)
        and others
        and min(others) == max(others) == first
    ):
        raise Wrong(
            f"{told}: all made {counted(first, 'step')}, and don't agree on what is told after it: each rank "
            f"must come to the same call after every step, the last one too.\n{error}"
        )


def _waits(error: LabError, rank: int) -> bool:
    """Whether the rank has not left: then the error itself tells best what it waits for."""
    return f"rank {rank} waits in" in str(error)


def _all_as_asked(history: History, right: int, told: str, most: int) -> None:
    made = max(_rows(history, "made"))
    late = f"rank 0 knows at step {right}"
    if made == right + 1 and made <= most:
        raise Wrong(f"{told}: {late}, and all leave a step later: look after each step, then tell")
    if made > most:
        raise Wrong(f"{told}: all make {counted(made, 'step')}; stop after `most`, whatever rank 0 finds")
    if made > right:
        raise Wrong(f"{told}: {late}, and all make {counted(max(0, made), 'step')}")
    if made < right:
        raise Wrong(f"{told}: you leave after {counted(max(0, made), 'step')}, and {right} were asked")
    for rank, got in enumerate(history.results):
        returned = whole(got, f"{told}: what rank {rank} returns")
        if returned != right:
            off = ": counting from 0?" if returned == right - 1 else ""
            raise Wrong(
                f"{told}: {counted(right, 'step')} were made, and rank {rank} returns {returned}{off}"
            )


together = Exercise(
    key="18.together",
    title="A stop that all take together",
    difficulty=1,
    minutes=6,
    reference=_train_together,
    check=_check_together,
    hints=(
        "Who leaves the loop must know that all others leave it after the same step.",
        "One number from rank 0 to all, after every step: 1 for enough, 0 for go on. Which call does that?",
        "`if node.rank == 0: enough.fill_(passed())`, then `node.broadcast(enough, src=0)` on every rank.",
    ),
)
