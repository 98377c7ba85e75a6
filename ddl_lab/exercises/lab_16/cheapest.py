"""The cheapest count of nodes that is done in time."""

from __future__ import annotations

from collections.abc import Callable

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import whole

# nodes: hours of the job. On 4 nodes the data fit into memory at last, so that more nodes are cheaper there
JOB = {1: 100.0, 2: 60.0, 4: 20.0, 8: 11.0, 16: 6.5, 32: 6.4, 64: 9.0}
EVEN = {64: 3.0, 32: 3.5, 16: 5.0, 8: 9.0}
CASES = (
    (JOB, 12.0, 0.0),
    (JOB, 30.0, 0.0),
    (JOB, 6.5, 0.0),  # on 16 nodes it takes exactly so long
    (JOB, 100.0, 0.0),
    (JOB, 6.0, 0.0),  # nobody is in time
    (JOB, 30.0, 8.0),  # and something is paid by the hour, whatever the nodes
    (EVEN, 9.5, 0.0),
    (EVEN, 9.5, 40.0),
)


def _cheapest(hours, deadline, fixed=0.0):  # type: ignore[no-untyped-def]
    in_time = [n for n in hours if hours[n] <= deadline]
    return min(in_time, key=lambda n: hours[n] * (n + fixed), default=None)


def _check_cheapest(answer: Answer) -> str:
    for hours, deadline, fixed in CASES:
        right = _cheapest(hours, deadline, fixed)
        got = call(answer, hours, deadline, fixed)
        told = f"deadline {deadline:g} h" + (f", {fixed:g} more an hour" if fixed else "")
        if right is None:
            if got is not None:
                raise Wrong(f"{told}: {got} nodes aren't done in time, and none are: return None")
            continue
        if got is None:
            took = f"{right} nodes are done in {hours[right]:g} h"
            raise Wrong(f"{told}: your count is None, and {took}. Is there a `return` in your function?")
        count = whole(got, f"{told}: your count")
        if count == right:
            continue
        if count not in hours:
            raise Wrong(
                f"{told}: {count} is none of the counts {sorted(hours)}; return the nodes, not the hours"
            )
        for words, wrong in MISTAKES.items():
            if count == wrong(hours, deadline, fixed):
                raise Wrong(f"{told}: you choose {count}. {words}")
        pay, asked = (hours[n] * (n + fixed) for n in (count, right))
        raise Wrong(f"{told}: {count} nodes cost {pay:g} node-hours, {right} nodes {asked:g}")
    return "eight cases: on the dot, too late for all, and with a price that doesn't ask for nodes"


def _among(counts: list[int], by: Callable[[int], float]) -> int | None:
    return min(counts, key=by, default=None)


MISTAKES: dict[str, Callable[..., int | None]] = {
    "That misses the deadline: it is the cheapest of all": lambda h, d, f: _among(
        list(h), lambda n: h[n] * (n + f)
    ),
    "Who is done exactly at the deadline is in time": lambda h, d, f: _among(
        [n for n in h if h[n] < d], lambda n: h[n] * (n + f)
    ),
    "What is paid by the hour besides is hours · fixed: the faster one saves some of it": lambda h, d, f: (
        _among([n for n in h if h[n] <= d], lambda n: h[n] * n)
    ),
    "That is the fastest: what it costs is nodes times hours": lambda h, d, f: _among(
        [n for n in h if h[n] <= d], lambda n: h[n]
    ),
    "That is the fewest nodes in time, and the slowest: more of them may be cheaper": lambda h, d, f: _among(
        [n for n in h if h[n] <= d], lambda n: n
    ),
}


cheapest = Exercise(
    key="16.cheapest",
    title="The cheapest in time",
    difficulty=1,
    minutes=5,
    reference=_cheapest,
    check=_check_cheapest,
    hints=(
        "First leave out who isn't done in time; exactly at the deadline is in time.",
        "A job of h hours on n nodes costs h · n node-hours, and h times what is paid besides.",
        "min(…, key=…, default=None): where nobody is in time there is no answer.",
    ),
)
