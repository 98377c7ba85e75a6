"""Staleness from the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, number


def _staleness_of(arrivals):  # type: ignore[no-untyped-def]
    read, found = dict.fromkeys(arrivals, 0), []  # all have read version 0
    for version, worker in enumerate(arrivals):
        found.append(version - read[worker])
        read[worker] = version + 1  # its answer: this gradient is in it
    return found


def _check_versions(answer: Answer) -> str:
    for arrivals in ([1, 2, 3, 1, 2, 3], [2, 2, 2, 1, 3, 2], [1], [4, 1, 1, 4, 2, 3, 3, 1], [3, 5, 3]):
        asked = _staleness_of(arrivals)
        got = items(call(answer, arrivals), "your list")
        if len(got) != len(arrivals):
            raise Wrong(f"return a list with one number for each of the {len(arrivals)} arrivals")
        got = [number(stale, f"the staleness of number {k}") for k, stale in enumerate(got)]
        if got == asked:
            continue
        told = f"for arrivals {arrivals} you have {[round(stale, 3) for stale in got]}"
        late = [version - _came(arrivals, version) for version in range(len(arrivals))]
        if got == late:
            raise Wrong(
                f"{told}: a worker is answered after its gradient has been applied, so that one is in what "
                "it reads and doesn't make its next gradient stale"
            )
        if got == list(range(len(arrivals))):
            raise Wrong(f"{told}: that is the version; a worker reads again after each of its gradients")
        if got == [value + 1 for value in asked]:
            raise Wrong(f"{told}: each is 1 too many; the gradient itself isn't in the parameters before it")
        if got == [sum(other != arrivals[k] for other in arrivals[:k]) for k in range(len(arrivals))]:
            raise Wrong(
                f"{told}: those are all others' gradients before it; count from its worker's last one"
            )
        place = next(k for k, pair in enumerate(zip(got, asked, strict=True)) if pair[0] != pair[1])
        raise Wrong(f"{told}: number {place}, of rank {arrivals[place]}, is of staleness {asked[place]}")
    return "five orders of arrival, one with a worker that comes thrice in a row"


def _came(arrivals: Sequence[int], version: int) -> int:
    """The version that was there when the worker of arrival ``version`` came last; 0 the first time."""
    return max((k for k in range(version) if arrivals[k] == arrivals[version]), default=0)


versions = Exercise(
    key="07.versions",
    title="Staleness from the order of arrival",
    difficulty=1,
    minutes=6,
    reference=_staleness_of,
    check=_check_versions,
    hints=(
        "Keep for each worker the version that it read last; all have read version 0 at the start.",
        "The gradient that arrives as number k, from 0, finds k gradients applied: version k.",
        "Its staleness is k minus what its worker read. Then it is applied, and its worker reads k + 1.",
    ),
)
