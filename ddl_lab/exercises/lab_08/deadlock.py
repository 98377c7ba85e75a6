"""Who waits forever, by playing the sends and receives."""

from __future__ import annotations

from ..helpers import Answer, Wrong, call
from ..machine import Exercise


def _stuck(programs):  # type: ignore[no-untyped-def]
    place = [0] * len(programs)

    def current(node):  # type: ignore[no-untyped-def]
        return programs[node][place[node]] if place[node] < len(programs[node]) else None

    moved = True
    while moved:
        moved = False
        for node in range(len(programs)):
            call = current(node)
            if call and call[0] == "send" and current(call[1]) == ("recv", node):
                place[node] += 1
                place[call[1]] += 1
                moved = True
    return [node for node in range(len(programs)) if current(node)]


PROGRAMS: list[tuple[str, list[list[tuple[str, int]]], list[int]]] = [
    ("one message", [[("send", 1)], [("recv", 0)]], []),
    ("both send first", [[("send", 1), ("recv", 1)], [("send", 0), ("recv", 0)]], [0, 1]),
    ("one receives first", [[("send", 1), ("recv", 1)], [("recv", 0), ("send", 0)]], []),
    ("a ring of sends", [[("send", (r + 1) % 3), ("recv", (r - 1) % 3)] for r in range(3)], [0, 1, 2]),
    ("a message too few", [[("recv", 1), ("recv", 1)], [("send", 0)]], [0]),
    ("nothing to do", [[], [("recv", 2)], [("send", 1)]], []),
    (
        "a deadlock of two after messages that work, and a third who waits for them",
        [
            [("send", 1), ("send", 1), ("recv", 1)],
            [("recv", 0), ("send", 0), ("recv", 0), ("send", 2)],
            [("recv", 1)],
            [],
        ],
        [0, 1, 2],
    ),
    (
        "1F1B with sends that wait",
        [[("send", 1), ("send", 1), ("recv", 1), ("recv", 1)], [("recv", 0), ("send", 0)] * 2],
        [0, 1],
    ),
    (
        "GPipe with sends that wait",
        [[("send", 1)] * 2 + [("recv", 1)] * 2, [("recv", 0)] * 2 + [("send", 0)] * 2],
        [],
    ),
]


def _check_stuck(answer: Answer) -> str:
    for name, programs, right in PROGRAMS:
        got = call(answer, programs)
        if isinstance(got, bool) or not isinstance(got, list | tuple | set):
            raise Wrong(f"{name}: a list of nodes was asked, empty where all end; you returned {got!r}")
        if sorted(got) == right:
            continue
        missing, more = sorted(set(right) - set(got)), sorted(set(got) - set(right))
        if more:
            raise Wrong(
                f"{name}: {programs} — node {more[0]} does get to its end: a send and its recv move both on"
            )
        raise Wrong(
            f"{name}: {programs} — node {missing[0]} waits forever, and you leave it out: "
            "go on until nobody can move, then look who isn't done"
        )
    return f"{len(PROGRAMS)} programs, with and without a deadlock"


deadlock = Exercise(
    key="08.deadlock",
    title="Who waits forever",
    difficulty=3,
    minutes=15,
    reference=_stuck,
    check=_check_stuck,
    hints=(
        "Play it: keep for each node the place of the call where it stands.",
        "A message moves when a node stands at a send to one that stands at the recv from it: both go on.",
        "Repeat until a whole round over the nodes moves nobody. Who isn't at the end then never will be.",
    ),
)
