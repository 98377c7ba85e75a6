"""What lab 05's exercises share: ranks that meet, and what they may send."""

from __future__ import annotations

from typing import Any

from ...errors import DeadlockError
from ...history.history import History
from ..helpers import Answer, Wrong, on_nodes

QUIET = ("compute", "wait")  # spans that are no call to others
HIDDEN = 6  # units: a check compares many models


def met(worker: Answer, nodes: int, *args: Any) -> History:
    """``on_nodes``, where a deadlock means that the ranks don't make equally many calls."""
    try:
        return on_nodes(worker, nodes, *args)
    except DeadlockError as error:
        raise Wrong(f"every rank must make the same calls of the node; yours don't:\n{error}") from None


def one_exchange(got: History, advice: str) -> None:
    """Raise ``Wrong`` where a rank makes more than one call that reaches others."""
    calls = got.spans[~got.spans["kind"].isin(QUIET)].groupby("rank").size()
    if len(calls) and (most := int(calls.max())) > 1:
        rank = calls.idxmax()
        raise Wrong(f"the numbers are right, but rank {rank} makes {most} calls of the node: {advice}")
