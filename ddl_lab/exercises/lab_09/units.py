"""Whose hidden units: the slice of a rank."""

from __future__ import annotations

from ...counted import counted
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import span


def _units(hidden, nodes, rank):  # type: ignore[no-untyped-def]
    least, more = divmod(hidden, nodes)
    start = rank * least + min(rank, more)
    return start, start + least + (rank < more)


def _check_units(answer: Answer) -> str:
    for hidden, nodes in ((256, 4), (256, 3), (10, 4), (7, 7), (9, 8), (5, 1)):
        case = f"{hidden} units over {counted(nodes, 'node')}"
        found = [span(answer(hidden, nodes, rank), f"{case}: what rank {rank} has") for rank in range(nodes)]
        sizes = [stop - start for start, stop in found]
        if found[0][0] != 0:
            raise Wrong(f"{case}: rank 0 starts at unit {found[0][0]}, and units are counted from 0")
        if found[-1][1] == hidden - 1 and hidden % nodes == 0:
            raise Wrong(
                f"{case}: stop is one past the last unit, as in a slice; yours leaves unit {hidden - 1}"
            )
        for rank in range(1, nodes):
            if found[rank][0] != found[rank - 1][1]:
                raise Wrong(f"{case}: rank {rank - 1} stops at {found[rank - 1][1]}, rank {rank} starts at "
                            f"{found[rank][0]}: each unit must have one node")  # fmt: skip
        if found[-1][1] < hidden:
            raise Wrong(
                f"{case}: nobody has the last units, from {found[-1][1]} on: hidden // nodes drops them"
            )
        if found[-1][1] > hidden:
            raise Wrong(f"{case}: rank {nodes - 1} stops at {found[-1][1]}, and there are {hidden} units")
        if max(sizes) - min(sizes) > 1:
            raise Wrong(f"{case}: the sizes are {sizes}; they should differ by one at most")
        if sizes != sorted(sizes, reverse=True):
            raise Wrong(f"{case}: the sizes are {sizes}: the larger ones first, as tensor_split has them")
    return "256 units over 4 and 3 nodes, 10 over 4, one each, 9 over 8, and a single node"


units = Exercise(
    key="09.units",
    title="Whose hidden units",
    difficulty=1,
    minutes=6,
    reference=_units,
    check=_check_units,
    hints=(
        "divmod(10, 4) is (2, 2): everybody gets 2, and two nodes get one more.",
        "Before rank r stand r nodes with `least` units each, and min(r, more) of them have one more.",
    ),
)
