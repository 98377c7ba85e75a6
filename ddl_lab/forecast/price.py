"""What a run costs: the seconds that its nodes were there, and the energy that they took"""

from __future__ import annotations

from ..history.history import History
from ..ranges import check_number

HOUR_S = 3600.0


def node_seconds(history: History) -> float:
    """Seconds of all nodes together, each until its worker ended: what a cluster sends the bill for.

    Raises ``ValueError`` for a run in which a node hasn't ended.
    """
    if len(history.finished_s) < history.nodes:
        raise ValueError(
            f"{len(history.finished_s)} of {history.nodes} nodes have ended: a bill needs them all"
        )
    return sum(history.finished_s.values())


def dollars(node_s: float, a_node_hour: float) -> float:
    """What ``node_s`` node-seconds cost at ``a_node_hour`` dollars."""
    check_number("a_node_hour", a_node_hour, "dollars", least=0)
    return node_s / HOUR_S * a_node_hour


def kilowatt_hours(history: History, busy_w: float, waiting_w: float) -> float:
    """Energy of all nodes: ``busy_w`` watts while one computes, ``waiting_w`` all other time until its end.

    Raises ``ValueError`` as ``node_seconds``.
    """
    check_number("busy_w", busy_w, "watts", least=0)
    check_number("waiting_w", waiting_w, "watts", least=0)
    spans = history.spans
    computing = spans[spans.kind == "compute"]
    busy_s = float((computing.end_s - computing.start_s).sum())
    waiting_s = node_seconds(history) - busy_s
    return (busy_s * busy_w + waiting_s * waiting_w) / HOUR_S / 1e3
