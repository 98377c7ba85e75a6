"""What a node sends in a step, dense and as its k largest entries."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import check_number
from ..values import items, number


def _bytes_sent(nodes, parameters, k):  # type: ignore[no-untyped-def]
    dense = 2 * (nodes - 1) / nodes * 4 * parameters  # a ring all-reduce of float32
    sparse = (nodes - 1) * (4 + 4) * k  # all-gathers of places and of values
    return dense, sparse


def _check_sent(answer: Answer) -> str:
    # first one in which each likely mistake makes another number, also that of counting bits
    for nodes, parameters, k in (
        (5, 201_217, 20_122), (8, 201_217, 20_122), (4, 1000, 10), (100, 50_000, 500), (2, 64, 3),
    ):  # fmt: skip
        got = items(answer(nodes, parameters, k), "your pair")
        if len(got) != 2:
            raise Wrong("return two numbers: the bytes of the dense all-reduce, then those of top-k")
        dense, sparse = _bytes_sent(nodes, parameters, k)
        told = f"{nodes} nodes, P = {parameters:,}, k = {k:,}"
        turned = [number(size, f"{told}: a count") for size in got[::-1]]
        if dense != sparse and all(map(math.isclose, turned, (dense, sparse))):
            raise Wrong(f"{told}: you have them the other way round, the dense one's come first")
        size = 4 * parameters
        check_number(
            got[0], dense, f"{told}: the dense one's bytes",
            ("that is the whole gradient once; a ring sends it almost twice", size),
            ("a ring all-reduce has two halves, reduce-scatter and all-gather", dense / 2),
            ("that many bytes go out of all nodes together: one node's were asked", dense * nodes),
            ("those are entries: a float32 has 4 bytes", dense / 4),
            ("2S: a node keeps its own n-th, so it is 2 (n − 1)/n of S", 2 * size),
            ("as if each sent its whole gradient to all others", (nodes - 1) * size),
        )  # fmt: skip
        check_number(
            got[1], sparse, f"{told}: top-k's bytes",
            ("you forgot the places: an index travels with each value", sparse / 2),
            ("an int32 and a float32 are 4 bytes each", sparse * 3 / 2),
            ("as if places and values could be reduced: each node has places of its own, so all of them "
             "travel", 2 * (nodes - 1) / nodes * 8 * k),
            ("in a ring all-gather each node hands on n − 1 parts", sparse * nodes / (nodes - 1)),
            ("that goes out of all nodes together: one node's bytes were asked", sparse * nodes),
            ("that is what it would be with two nodes: it hands on what came from others, too", 8 * k),
        )  # fmt: skip
    return "2 to 100 nodes; at 100, with 1 % of the entries, they are equal"


sent = Exercise(
    key="11.sent",
    title="What a step sends",
    difficulty=1,
    minutes=6,
    reference=_bytes_sent,
    check=_check_sent,
    hints=(
        "A ring all-reduce of S bytes: each node sends 2 (n − 1)/n · S. Lab 04.",
        "A ring all-gather: each node hands on n − 1 parts, its own and those that came.",
        "A part is k places (int32) and k values (float32): 8k bytes.",
    ),
)
