"""Who waits forever, by playing the sends and receives."""

from __future__ import annotations

from collections.abc import Iterable

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, whole


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


def _swept(programs: list[list[tuple[str, int]]], order: Iterable[int]) -> list[int]:
    """Who isn't done after one sweep, in which each node goes as far as it can."""
    place = [0] * len(programs)

    def here(node: int) -> tuple[str, int] | None:
        return programs[node][place[node]] if place[node] < len(programs[node]) else None

    for node in order:
        while step := here(node):
            kind, peer = step
            if here(peer) != ("recv" if kind == "send" else "send", node):
                break
            place[node] += 1
            place[peer] += 1
    return [node for node in range(len(programs)) if here(node)]


PROGRAMS: list[tuple[str, list[list[tuple[str, int]]], list[int]]] = [
    ("one message", [[("send", 1)], [("recv", 0)]], []),
    ("both send first", [[("send", 1), ("recv", 1)], [("send", 0), ("recv", 0)]], [0, 1]),
    ("one receives first", [[("send", 1), ("recv", 1)], [("recv", 0), ("send", 0)]], []),
    ("a ring of sends", [[("send", (r + 1) % 3), ("recv", (r - 1) % 3)] for r in range(3)], [0, 1, 2]),
    ("a message too few", [[("recv", 1), ("recv", 1)], [("send", 0)]], [0]),
    ("nothing to do", [[], [("recv", 2)], [("send", 1)]], []),
    (
        "a chain that comes back to its first nodes",
        [
            [("send", 3), ("send", 1)],
            [("send", 2), ("recv", 0)],
            [("recv", 1), ("send", 3)],
            [("recv", 2), ("recv", 0)],
        ],
        [],
    ),
    (
        "the same chain from the other end",
        [
            [("recv", 1), ("recv", 3)],
            [("recv", 2), ("send", 0)],
            [("send", 1), ("recv", 3)],
            [("send", 0), ("send", 2)],
        ],
        [],
    ),
    ("six messages one after another", [[("send", 1)] * 6, [("recv", 0)] * 6], []),
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
    (
        "a token that goes to and fro on a line, five times",
        [
            [("recv", 1), ("send", 1)] * 5,
            [("recv", 2), ("send", 0), ("recv", 0), ("send", 2)] * 5,
            [("recv", 3), ("send", 1), ("recv", 1), ("send", 3)] * 5,
            [("send", 2), ("recv", 2)] * 5,
        ],
        [],
    ),
]


def _check_stuck(answer: Answer) -> str:
    for name, programs, right in PROGRAMS:
        got = items(call(answer, programs), f"{name}: your list of nodes, empty where all end,")
        got = sorted(whole(node, f"{name}: a node") for node in got)
        if got == right:
            continue
        if got in (_swept(programs, range(len(programs))), _swept(programs, range(len(programs))[::-1])):
            raise Wrong(
                f"{name}: {programs} — one sweep over the nodes isn't enough, nor any number of them told "
                "beforehand: a later node may let an earlier one go on. Sweep until one moves nobody"
            )
        missing, more = sorted(set(right) - set(got)), sorted(set(got) - set(right))
        if more:
            raise Wrong(
                f"{name}: {programs} — node {more[0]} does get to its end: a send and its recv move both on"
            )
        if not missing:
            raise Wrong(f"{name}: {programs} — you return {got}: each node that waits forever once, {right}")
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
