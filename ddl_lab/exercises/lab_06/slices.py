"""Which slice of the parameters is whose."""

from __future__ import annotations

from collections import Counter

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import span


def _slice_of(server, servers, size):  # type: ignore[no-untyped-def]
    base, rest = divmod(size, servers)
    start = server * base + min(server, rest)  # so many servers before this one have one more
    return start, start + base + (server < rest)


def _check_slices(answer: Answer) -> str:
    for size, servers_ in ((12, 4), (10, 4), (201_217, 8), (3, 5), (7, 1), (11, 3)):
        got = [
            span(call(answer, server, servers_, size), f"server {server}'s slice")
            for server in range(servers_)
        ]
        right = [_slice_of(server, servers_, size) for server in range(servers_)]
        if [_places(pair) for pair in got] != [_places(pair) for pair in right]:
            raise Wrong(_why_slices(got, right, size))
    return "six sizes over 1 to 8 servers: nothing lost, nothing twice, the order of tensor_split"


def _places(pair: tuple[int, int]) -> range:
    """Empty ones are equal, wherever they stand; ones that stop before they start are not empty here."""
    return range(*pair) if pair[0] <= pair[1] else range(-1, 0)


def _why_slices(got: list[tuple[int, int]], right: list[tuple[int, int]], size: int) -> str:
    told = f"{size:,} parameters on {len(got)} servers"
    lengths = [stop - start for start, stop in got]
    if got == [(start, stop - 1) for start, stop in right]:
        return f"{told}: your slices stop one early; Python's tensor[start:stop] leaves stop out itself"
    if outside := [s for s, (a, b) in enumerate(got) if not 0 <= a <= b <= size]:
        server = outside[0]
        return f"{told}: server {server} gets {got[server]}, and there are parameters 0 to {size - 1:,} only"
    held = Counter(place for start, stop in got for place in range(start, stop))
    if twice := sum(count > 1 for count in held.values()):
        return f"{told}: {twice} of them lie on two servers"
    if lost := size - len(held):
        return f"{told}: {lost} of them lie on no server, so nobody ever updates them"
    if max(lengths) - min(lengths) > 1:
        worst = f"your largest slice has {max(lengths):,}, the smallest {min(lengths):,}"
        return f"{told}: {worst}; they should differ by one at most, as the largest decides the time"
    server = next(s for s, (mine, theirs) in enumerate(zip(got, right, strict=True)) if mine != theirs)
    place = f"server {server} gets {got[server]}, tensor_split gives it {right[server]}"
    same = lengths == [stop - start for start, stop in right]
    return f"{told}: {place}: {'in the order of the servers' if same else 'the larger ones come first'}"


slices = Exercise(
    key="06.slices",
    title="Which slice is whose",
    difficulty=2,
    minutes=8,
    reference=_slice_of,
    check=_check_slices,
    hints=(
        "`base, rest = divmod(size, servers)`: every slice has base parameters, rest of them one more.",
        "The first `rest` servers have base + 1. How many of those stand before this server?",
        "start = server * base + min(server, rest)",
    ),
)
