"""What an all-reduce of two levels takes."""

from __future__ import annotations

from ..helpers import Answer
from ..machine import Exercise
from ..mistakes import check_number

INSIDE, BETWEEN = (5e-6, 1e10), (50e-6, 1e9)
CASES = (
    (4, 8, 960_000, INSIDE, BETWEEN),
    (4, 2, 1_600_000, (2e-6, 3e11), (2e-5, 2.5e10)),
    (2, 16, 64_000_000, INSIDE, BETWEEN),
    (16, 4, 6_400, (1e-6, 1e9), (3e-4, 1e8)),
)


def _two_level_s(hosts, size, nbytes, inside, between):  # type: ignore[no-untyped-def]
    latency, bandwidth = inside
    within = (
        2 * (size - 1) * (latency + nbytes / size / bandwidth)
    )  # reduce-scatter, and all-gather at the end
    latency, bandwidth = between
    across = 2 * (hosts - 1) * (latency + nbytes / (size * hosts) / bandwidth)  # of a part, S / size
    return within + across


def _check_levels(answer: Answer) -> str:
    for hosts, size, nbytes, inside, between in CASES:

        def took(m: int, h: int, inner: float, outer: float, near=inside, far=between) -> float:  # type: ignore[no-untyped-def]
            """Rings of ``m`` and of ``h``, whose messages carry ``inner`` and ``outer`` bytes."""
            return 2 * (m - 1) * (near[0] + inner / near[1]) + 2 * (h - 1) * (far[0] + outer / far[1])

        total = hosts * size
        part, cell = nbytes / size, nbytes / total
        right = _two_level_s(hosts, size, nbytes, inside, between)
        check_number(
            answer(hosts, size, nbytes, inside, between), right,
            f"{hosts} hosts of {size}, {nbytes:,} bytes: your seconds",
            ("between the hosts all of S travels with you: it is S/size, each place has its own part",
             took(size, hosts, part, nbytes / hosts)),
            ("a message between the hosts carries a part of the part, S/(size · hosts)",
             took(size, hosts, part, part)),
            ("inside a host a message carries S/size, not S/n", took(size, hosts, cell, cell)),
            ("inside, a message carries a part of S, S/size", took(size, hosts, nbytes, cell)),
            ("all n ranks in the ring between the hosts: there are as many as hosts",
             took(size, total, part, cell)),
            ("all n ranks in the ring inside: a host has size of them", took(total, hosts, part, cell)),
            ("hosts and ranks a host are the other way round", took(hosts, size, nbytes / hosts, cell)),
            ("the links are the other way round", took(size, hosts, part, cell, between, inside)),
            ("slow links for all: those inside a host are fast", took(size, hosts, part, cell, between)),
            ("half of it: two laps inside, reduce-scatter and all-gather, two between the hosts", right / 2),
            ("that is the flat ring", took(1, total, 0, cell)),
            ("inside the hosts the all-gather at the end is missing",
             right - (size - 1) * (inside[0] + part / inside[1])),
            ("between the hosts it is a whole all-reduce, two laps",
             right - (hosts - 1) * (between[0] + cell / between[1])),
        )  # fmt: skip
    return "four clusters, of 8 to 64 ranks"


levels = Exercise(
    key="16.levels",
    title="Seconds of two levels",
    difficulty=2,
    minutes=8,
    reference=_two_level_s,
    check=_check_levels,
    hints=(
        "Three stages: a reduce-scatter inside the hosts, an all-reduce between them, an all-gather inside.",
        "Inside, a ring of `size` ranks: size − 1 messages of S/size bytes, there and back.",
        "Between, each place has a ring of its own with its S/size bytes: messages of S/(size · hosts).",
    ),
)
