"""Whose tensors are in a result, and what a rank sent: for checks that count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..counted import counted
from ..history.history import History
from ..node.node import Node
from .helpers import Answer, Wrong, close, same_shape


def named_ranks(marks: Sequence[float], count: float) -> str:
    """The ranks whose entry is ``count``, in words."""
    found = [str(rank) for rank, mark in enumerate(marks) if round(mark) == count]
    return f"rank{'s' * (len(found) > 1)} {' and '.join(found)}" if found else ""


def one_hot(node: Node) -> Tensor:
    """Rank r marks entry r: a sum of these tells whose tensors are in it, and how often."""
    marks = torch.zeros(node.world_size)
    marks[node.rank] = 1.0
    return marks


def check_marks(rank: int, got: Tensor, nodes: int) -> None:
    """Raise ``Wrong`` unless the tensor of every rank is in ``got`` once."""
    same_shape(got, (nodes,), f"rank {rank}'s tensor")
    marks = got.tolist()
    if lost := named_ranks(marks, 0):
        raise Wrong(
            f"on {counted(nodes, 'node')}, the tensor of {lost} isn't in what rank {rank} ends up with"
        )
    if twice := named_ranks(marks, 2):
        raise Wrong(f"on {counted(nodes, 'node')}, the tensor of {twice} is in rank {rank}'s sum twice")
    close(got, torch.ones(nodes), f"rank {rank}'s sum of {nodes} tensors, one from each rank,")


def in_place(node: Node, answer: Answer) -> Tensor:
    """What the learner's ``answer(node, tensor)`` makes of this rank's mark."""
    marks = one_hot(node)
    answer(node, marks)
    return marks


def check_count(history: History, what: str, rank: int, asked: int, why: dict[int, str]) -> None:
    """Raise ``Wrong`` unless ``rank`` sent ``asked`` bytes or messages; ``why`` explains known counts."""
    sent = (history.bytes_sent if what == "bytes" else history.messages_sent)[rank]
    if sent != asked:
        more = f": {why[sent]}" if sent in why else ""
        do = "does" if asked == 1 else "do"
        raise Wrong(
            f"of {counted(history.nodes, 'node')}, rank {rank} sends {sent} {what} where {asked} {do}{more}"
        )
