"""An all-reduce of two levels, in seconds."""

from __future__ import annotations

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number

INSIDE, BETWEEN = (3e-6, 300e9), (20e-6, 25e9)
CASES = (
    (800_000, 8, 8, INSIDE, BETWEEN),
    (1_000_000_000, 8, 8, INSIDE, BETWEEN),
    (1_000_000_000, 2, 4, (1e-3, 1e9), (2e-3, 1e8)),
    (4_000, 3, 2, INSIDE, BETWEEN),
    (4_000_000, 1, 8, INSIDE, BETWEEN),
    (4_000_000, 5, 1, INSIDE, BETWEEN),
)


def _two_levels(nbytes, hosts, ranks, inside, between):  # type: ignore[no-untyped-def]
    total = 0
    for nodes, (latency_s, rate), part in ((ranks, inside, nbytes), (hosts, between, nbytes / ranks)):
        total += 2 * (nodes - 1) * (latency_s + part / nodes / rate)
    return total


def _ring(nodes: int, nbytes: float, link: tuple[float, float]) -> float:
    return 2 * (nodes - 1) * (link[0] + nbytes / nodes / link[1])


def _check_two_levels(answer: Answer) -> str:
    for nbytes, hosts, ranks, inside, between in CASES:
        right = _two_levels(nbytes, hosts, ranks, inside, between)
        within = _ring(ranks, nbytes, inside)
        check_number(
            call(answer, nbytes, hosts, ranks, inside, between), right,
            f"{nbytes:,} bytes, {hosts} hosts of {ranks} ranks: the seconds",
            ("that is one ring around all ranks, over the slow links",
             _ring(hosts * ranks, nbytes, between)),
            (f"between hosts each rank has {ranks} times too much to send: after the reduce-scatter it has "
             "a part of the tensor only", within + _ring(hosts, nbytes, between)),
            ("the links are the wrong way round", _two_levels(nbytes, hosts, ranks, between, inside)),
            ("inside a host there is a reduce-scatter before and an all-gather after: two sweeps",
             within / 2 + _ring(hosts, nbytes / ranks, between)),
            ("between hosts it is an all-reduce: two sweeps around its ring",
             within + _ring(hosts, nbytes / ranks, between) / 2),
            ("you charge for one sweep where there are two, at both levels", right / 2),
            ("that is what happens inside a host only", within),
            ("that is what happens between hosts only", _ring(hosts, nbytes / ranks, between)),
        )  # fmt: skip
    return "small and large tensors, two to eight hosts, a single one, and one rank a host"


two_levels = Exercise(
    key="10.two_levels",
    title="Two levels",
    difficulty=2,
    minutes=10,
    reference=_two_levels,
    check=_check_two_levels,
    hints=(
        "A ring's sweep over n ranks takes n − 1 messages, each of an n-th of what is swept.",
        "Inside: a reduce-scatter first and an all-gather at the end, both of the whole tensor.",
        "In between each rank has a part, nbytes / ranks, and all-reduces it with its counterparts.",
    ),
)
