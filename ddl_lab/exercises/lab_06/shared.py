"""What lab 06's exercises share: a server beside the learner's function, and clusters to count on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...cluster.model import Cluster
from ...errors import DeadlockError, WorkerError
from ...history.history import History
from ..helpers import Wrong, on_nodes

CLUSTERS = (
    Cluster(latency_s=50e-6, bandwidth_bytes_per_s=1e9),
    Cluster(latency_s=2e-3, bandwidth_bytes_per_s=1e8),
)


def served(asked: str, worker: Callable[..., Any], nodes: int, *args: Any) -> History:
    """``on_nodes``, where a deadlock means a message too many or too few: other than was ``asked``."""
    try:
        return on_nodes(worker, nodes, *args)
    except DeadlockError as error:
        raise Wrong(
            f"{asked}; your function sends or receives another number of messages:\n{error}"
        ) from None
    except WorkerError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise Wrong(
            "you pull between forward and backward: torch sees that the parameters are no longer those of "
            "the forward pass. Pull first, then forward, backward, push"
        ) from None
