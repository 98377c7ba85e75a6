"""Shares by speed: a batch dealt out to unequal nodes, to the last digit."""

from __future__ import annotations

from typing import Any

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, whole


def _shares(speeds: list[float], batch: int) -> list[int]:
    ideal = [batch * speed / sum(speeds) for speed in speeds]
    counts = [int(share) for share in ideal]  # rounded down: some samples are left over
    by_rest = sorted(range(len(speeds)), key=lambda rank: counts[rank] - ideal[rank])
    for rank in by_rest[: batch - sum(counts)]:  # they go where most was cut off
        counts[rank] += 1
    return counts


def _check_shares(answer: Answer) -> str:
    geometric = [10_000 * 0.85**i for i in range(8)]
    for speeds, batch in (
        ([3.0, 1.0], 400),
        (geometric, 512),
        ([1.0] * 3, 100),
        ([5.0, 5.0, 1.0], 7),
        ([1.0] * 5, 7),
        ([2.0, 1.0, 5.0], 12),
        ([8.0, 3.0, 3.0, 2.0], 8),  # the fastest, the slowest and the last come out even: no rest for them
        ([8.0] + [7.0] * 7 + [8.0], 13),  # each rounded: two are missing, and the first and last have most
        ([7.0] + [8.0] * 7 + [7.0], 14),  # two too many, and the first and last have least
        ([3.0] * 10 + [70.0], 20),  # small errors of the same sign, which mustn't add up at the end
    ):
        got, ideal = call(answer, speeds, batch), [batch * speed / sum(speeds) for speed in speeds]
        if fault := _fault_of_shares(got, ideal, batch):
            raise Wrong(f"{len(speeds)} nodes, batch {batch}: {fault}")
    return "shares that come out even, and nine cases that don't"


def _fault_of_shares(got: Any, ideal: list[float], batch: int) -> str:
    got = items(got, "your list")
    if len(got) != len(ideal):
        return f"a list of {len(ideal)} whole numbers was asked, one a node; got {got!r:.60}"
    if any(isinstance(count, float) for count in got):
        return f"there are no parts of digits: whole numbers (int) were asked, got {got!r:.60}"
    got = [whole(count, f"rank {rank}'s share") for rank, count in enumerate(got)]
    if min(got) < 0:
        return f"rank {got.index(min(got))} has {min(got)} digits: {got}"
    if sum(got) != batch:
        return f"your shares add up to {sum(got)}: rounded one by one they needn't make the batch: {got}"
    worst = max(range(len(got)), key=lambda rank: abs(got[rank] - ideal[rank]))
    if abs(got[worst] - ideal[worst]) < 1:
        return ""
    if max(got) - min(got) <= 1 < max(ideal) - min(ideal):
        return f"equal shares, {got}, but the speeds differ: all would wait for the slowest"
    if got[ideal.index(max(ideal))] < got[ideal.index(min(ideal))]:
        return f"the faster a node, the smaller its share: {got}. It is the other way round"
    told = f"rank {worst} has {got[worst]}, its fair share is {ideal[worst]:.2f}"
    rounded = [round(share) for share in ideal]
    if got[:worst] + got[worst + 1 :] == rounded[:worst] + rounded[worst + 1 :]:
        return f"{told}: you round each share and let one node carry what that adds or lacks in all"
    return f"{told}: hand out what rounding left over one by one, to those from whom most was cut off"


shares = Exercise(
    key="03.shares",
    title="Shares by speed, to the last digit",
    difficulty=2,
    minutes=8,
    reference=_shares,
    check=_check_shares,
    hints=(
        "Begin with batch * speed / sum(speeds), rounded down.",
        "Sort the ranks by what rounding cut off; the first of them get one digit more each.",
    ),
)
