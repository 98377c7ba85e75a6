"""What goes wrong in a cluster, by rank: slow nodes, nodes that stall, and when each of them fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..ranges import check_by_rank, check_count, check_number
from . import jitter

BY_RANK = ("slow", "stalls", "fails")  # fields of a cluster that name ranks
NEVER_S = math.inf

_FAILURES = 0x6D746266  # what keeps these draws apart from those of compute times: "mtbf"


def check_faults(
    slow: Mapping[int, float], stalls: Mapping[int, tuple[int, float]], fails: Mapping[int, float]
) -> None:
    """Raise ``ValueError`` for what is out of range, naming the field, the rank and the mend."""
    check_by_rank("slow", slow, "factors", "{3: 4.0}")
    for rank, factor in slow.items():
        check_number(f"slow[{rank}]", factor, "times as long")
    check_by_rank("stalls", stalls, "(every, seconds)", "{2: (10, 0.5)}")
    for rank, stall in stalls.items():
        if not isinstance(stall, tuple | list) or len(stall) != 2:
            raise ValueError(f"stalls[{rank}]={stall!r}: it takes (every, seconds), as in (10, 0.5).")
        check_count(f"stalls[{rank}][0]", stall[0], "counting compute spans")
        check_number(f"stalls[{rank}][1]", stall[1], "seconds", least=0)
    check_by_rank("fails", fails, "seconds", "{1: 0.5}")
    for rank, at_s in fails.items():
        check_number(f"fails[{rank}]", at_s, "seconds", least=0)


def drawn_failure_s(mtbf_s: float, seed: int, attempt: int, rank: int) -> float:
    """Seconds after which ``rank`` fails in ``attempt``: exponential, of mean ``mtbf_s``.

    Drawn from (seed, attempt, rank) and from nothing else, so another attempt has other failures.
    """
    return -mtbf_s * math.log(jitter.uniform(seed ^ _FAILURES, rank, attempt))


def left_by_rank(entries: Mapping[int, Any], ranks: Sequence[int]) -> dict[int, Any]:
    """What ``entries`` say of ``ranks``, which are renumbered 0, 1, … in the order given."""
    return {place: entries[rank] for place, rank in enumerate(ranks) if rank in entries}
