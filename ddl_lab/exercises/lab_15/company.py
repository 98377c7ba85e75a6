"""Who goes along: the batches that a server makes of requests, by the seconds at which they arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, whole

Sizes: TypeAlias = list[int]


def _batches(arrivals, most, wait, a, b):  # type: ignore[no-untyped-def]
    sizes, taken, free = [], 0, 0.0
    while taken < len(arrivals):
        opens = max(free, arrivals[taken])  # the server is free, and somebody has asked
        n = 1
        while n < most and taken + n < len(arrivals) and arrivals[taken + n] <= opens + wait:
            n += 1
        leaves = max(opens, arrivals[taken + n - 1]) if n == most else opens + wait
        free = leaves + a + b * n
        sizes.append(n)
        taken += n
    return sizes


def _variant(
    arrivals: Sequence[float],
    most: int,
    wait: float,
    a: float,
    b: float,
    *,
    busy: bool = True,
    from_arrival: bool = False,
    full_goes: bool = True,
    company: bool = True,
) -> Sizes:
    """The course's answer with one of its rules left out."""
    sizes: Sizes = []
    taken, free = 0, 0.0
    while taken < len(arrivals):
        opens = max(free if busy else 0.0, arrivals[taken])
        closes = max(opens, arrivals[taken] + wait) if from_arrival else opens + wait
        n = 1
        while n < most and taken + n < len(arrivals) and arrivals[taken + n] <= closes:
            n += 1
        leaves = max(opens, arrivals[taken + n - 1])
        if company and not (full_goes and n == most):
            leaves = max(leaves, closes)
        free = leaves + a + b * n
        sizes.append(n)
        taken += n
    return sizes


WITHOUT: dict[str, Callable[..., Sizes]] = {
    "what came while the server was busy is left behind, or passes overlap: a batch opens when the server is "
    "free *and* somebody has asked": lambda *case: _variant(*case, busy=False),
    "you count the wait from the first one's arrival; it began when the server turned to the batch": (
        lambda *case: _variant(*case, from_arrival=True)
    ),
    "a full batch waits with you: it leaves when its last one has come": (
        lambda *case: _variant(*case, full_goes=False)
    ),
    "your batch leaves with the last one that came; it waits until it is full or the wait is over": (
        lambda *case: _variant(*case, company=False)
    ),
    "nobody waits with you: what comes within the wait goes along": lambda s, most, wait, a, b: _variant(
        s, most, 0.0, a, b
    ),
    "your batches are larger than `most`": lambda s, most, wait, a, b: _variant(s, len(s), wait, a, b),
    "a pass takes a + b · n with n in the batch: b is missing": lambda s, most, wait, a, b: _variant(
        s, most, wait, a, 0.0
    ),
    "a pass takes a + b · n: you took b once, however many are in the batch": (
        lambda s, most, wait, a, b: _variant(s, most, wait, a + b, 0.0)
    ),
}


def _cases() -> list[tuple[list[float], int, float, float, float]]:
    """Arrivals of many densities; one client in a while, crowds, and all between."""
    cases = []
    for seed, (rate, most, wait, a, b) in enumerate(
        [
            (900.0, 4, 2e-3, 1.5e-3, 2.5e-4),
            (2500.0, 8, 1e-3, 1.5e-3, 2.5e-4),
            (150.0, 4, 8e-3, 4e-3, 1e-4),
            (1800.0, 6, 3e-3, 1e-3, 4e-4),
            (5000.0, 16, 5e-4, 2e-3, 1e-4),
            (800.0, 1, 2e-3, 5e-4, 5e-4),  # the first one fills it
        ]
    ):
        gaps = torch.empty(40).exponential_(rate, generator=torch.Generator().manual_seed(seed))
        cases.append((gaps.double().cumsum(0).tolist(), most, wait, a, b))
    return cases


def _check_company(answer: Answer) -> str:
    cases = _cases()
    found = [_sizes(call(answer, *case), place, case) for place, case in enumerate(cases)]
    asked = [_batches(*case) for case in cases]
    if found == asked:
        return "40 requests at six rates, one alone in a batch among them: the same batches"
    for words, variant in WITHOUT.items():
        if found == [variant(*case) for case in cases]:
            raise Wrong(words)
    case = next(place for place, sizes in enumerate(found) if sizes != asked[place])
    batch = next(
        (k for k, (one, other) in enumerate(zip(found[case], asked[case], strict=False)) if one != other),
        min(len(found[case]), len(asked[case])),
    )
    _, most, wait, a, b = cases[case]
    had, right = (str(s[batch]) if batch < len(s) else "none" for s in (found[case], asked[case]))
    raise Wrong(
        f"case {case + 1} (most = {most}, wait = {wait:g} s, a = {a:g}, b = {b:g}): batch {batch + 1} has "
        f"{had} with you, and {right} was asked"
    )


def _sizes(got: object, place: int, case: tuple[list[float], int, float, float, float]) -> Sizes:
    sizes = [whole(size, "a batch's size") for size in items(got, "your list of sizes")]
    if sum(sizes) != len(case[0]):
        raise Wrong(
            f"case {place + 1}: {len(case[0])} requests came and {sum(sizes)} are in your batches: each of "
            "them is answered, once"
        )
    return sizes


company = Exercise(
    key="15.company",
    title="Who goes along",
    difficulty=3,
    minutes=12,
    reference=_batches,
    check=_check_company,
    hints=(
        "Keep two things: when the server is free, and how many requests are taken.",
        "A batch opens at max(free, arrivals[taken]); it takes those that come until opens + wait, `most` "
        "at most.",
        "Full, it leaves when its last one has come (or at once, if that one has waited); else at "
        "opens + wait. Then the server is free a + b · n later.",
    ),
)
