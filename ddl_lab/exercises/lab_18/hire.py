"""Whom to hire, so that a job costs the fewest dollars and is done in time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, whole


def _hire(speeds, dollars, samples, exchange_s, deadline_s):  # type: ignore[no-untyped-def]
    best, fewest = None, math.inf
    for count in range(1, len(speeds) + 1):
        for ranks in itertools.combinations(range(len(speeds)), count):
            seconds = samples / sum(speeds[r] for r in ranks) + (count - 1) * exchange_s
            cost = seconds * sum(dollars[r] for r in ranks)
            if seconds <= deadline_s and cost < fewest:
                best, fewest = list(ranks), cost
    return best


Ranks: TypeAlias = list[int] | None


class _Job(NamedTuple):
    speeds: list[float]  # samples a second
    dollars: list[float]  # a second
    samples: float
    exchange_s: float
    deadline_s: float

    def seconds(self, ranks: Sequence[int]) -> float:
        return self.samples / sum(self.speeds[r] for r in ranks) + (len(ranks) - 1) * self.exchange_s

    def cost(self, ranks: Sequence[int]) -> float:
        return self.seconds(ranks) * sum(self.dollars[r] for r in ranks)


Seconds: TypeAlias = Callable[[_Job, Sequence[int]], float]
FOUR = ([100.0, 60.0, 400.0, 200.0], [1.0, 0.45, 6.0, 2.5])
CASES = (
    _Job(*FOUR, 12_000.0, 0.0, 100.0),
    _Job(*FOUR, 12_000.0, 0.0, 1_000.0),  # no hurry: the cheapest
    _Job(*FOUR, 12_000.0, 0.0, 75.0),  # ranks 0 and 1 are done on the dot
    _Job(*FOUR, 12_000.0, 0.0, 15.0),  # nobody
    _Job([50.0, 1_000.0, 60.0], [0.5, 20.0, 1.26], 10_500.0, 0.0, 100.0),  # one is too large
    _Job([64.0] * 6, [1.0] * 6, 38_400.0, 30.0, 250.0),  # the exchange decides how many
    _Job([80.0, 160.0, 90.0, 30.0, 200.0, 10.0], [1.0, 2.6, 1.3, 0.3, 4.0, 0.1], 24_000.0, 5.0, 90.0),
    _Job([10.0, 100.0, 100.0, 100.0], [0.1, 2.0, 2.0, 2.0], 10_000.0, 0.0, 52.0),
    _Job([50.0], [1.0], 1_000.0, 5.0, 20.0),  # one alone, on the dot: it exchanges nothing
    _Job(*FOUR, 12_000.0, 0.0, 16.0),  # all together or nobody
    _Job([120.0 / k for k in range(1, 11)], [1.5 / k**1.1 for k in range(1, 11)], 9_000.0, 1.0, 35.0),
)


def _check_hire(answer: Answer) -> str:
    rights = [_hire(*job) for job in CASES]
    chosen = [_ranks(call(answer, *job), job, _told(place)) for place, job in enumerate(CASES)]
    wrong = [k for k, job in enumerate(CASES) if not _alike(job, chosen[k], rights[k])]
    if wrong:
        _name_the_fault(chosen, rights, wrong[0])
    return "eleven jobs: on the dot, all or one, no hurry, too late, dear exchanges, ten unequal nodes"


def _told(place: int) -> str:
    return f"job {place + 1} (deadline {CASES[place].deadline_s:g} s)"


def _alike(job: _Job, one: Ranks, other: Ranks) -> bool:
    """Both None, or as long and as dear: equal nodes stand for each other."""
    if one is None or other is None:
        return one is other
    return math.isclose(job.cost(one), job.cost(other)) and math.isclose(job.seconds(one), job.seconds(other))


def _ranks(got: object, job: _Job, told: str) -> Ranks:
    if got is None:
        return None
    ranks = sorted(whole(rank, f"{told}: a rank") for rank in items(got, f"{told}: your list"))
    if not ranks:
        raise Wrong(f"{told}: your list is empty: somebody has to work, or return None")
    if len(set(ranks)) < len(ranks):
        raise Wrong(f"{told}: a rank stands in {ranks} twice")
    if not 0 <= ranks[0] <= ranks[-1] < len(job.speeds):
        raise Wrong(f"{told}: you hire {_named(ranks)}, and there are 0 to {len(job.speeds) - 1}")
    return ranks


def _named(ranks: Sequence[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _name_the_fault(chosen: Sequence[Ranks], rights: Sequence[Ranks], place: int) -> None:
    """Raise ``Wrong`` for the first wrong choice; a mistake that makes all of these choices is named."""
    job, ranks, right = CASES[place], chosen[place], rights[place]
    yours = f"{_told(place)}: you return None"
    if ranks is not None:
        yours = f"{_told(place)}: you hire {_named(ranks)}, {_bill(job, ranks)}"
    if right is None:
        asked = "nobody is in time, and all together aren't: return None"
    else:
        asked = f"{_named(right)} would take {_bill(job, right)}"
    for words, choice in MISTAKES.items():
        if all(_alike(each, ranks, choice(each)) for each, ranks in zip(CASES, chosen, strict=True)):
            raise Wrong(f"{yours}; {asked}. {words}")
    if ranks is not None and job.seconds(ranks) > job.deadline_s:
        raise Wrong(f"{yours}: that is too late; {asked}")
    raise Wrong(f"{yours}; {asked}")


def _bill(job: _Job, ranks: Sequence[int]) -> str:
    return f"{job.seconds(ranks):.4g} s and {job.cost(ranks):.4g} dollars"


def _least(
    job: _Job, by: Callable[[Sequence[int]], float], seconds: Seconds = _Job.seconds, late: bool = False,
    strict: bool = False,
) -> Ranks:  # fmt: skip
    """Of all sets in time, by ``seconds``, the one with the least ``by``."""
    sets = [
        ranks
        for count in range(1, len(job.speeds) + 1)
        for ranks in itertools.combinations(range(len(job.speeds)), count)
    ]
    kept = [
        ranks
        for ranks in sets
        if late or (seconds(job, ranks) < job.deadline_s if strict else seconds(job, ranks) <= job.deadline_s)
    ]
    least: tuple[int, ...] | None = min(kept, key=by, default=None)
    return None if least is None else list(least)


def _one_after_another(job: _Job) -> Ranks:
    """By dollars a sample, until it is in time."""
    order = sorted(range(len(job.speeds)), key=lambda r: job.dollars[r] / job.speeds[r])
    for count in range(1, len(order) + 1):
        if job.seconds(order[:count]) <= job.deadline_s:
            return sorted(order[:count])
    return None


def _free(job: _Job, ranks: Sequence[int]) -> float:
    return job.samples / sum(job.speeds[r] for r in ranks)


def _by_the_slowest(job: _Job, ranks: Sequence[int]) -> float:
    return job.samples / len(ranks) / min(job.speeds[r] for r in ranks) + (len(ranks) - 1) * job.exchange_s


def _for_all(job: _Job, ranks: Sequence[int]) -> float:
    return _free(job, ranks) + len(ranks) * job.exchange_s


def _paid(job: _Job, ranks: Sequence[int]) -> float:
    return sum(job.dollars[r] for r in ranks)


MISTAKES: dict[str, Callable[[_Job], Ranks]] = {
    "That is the cheapest of all, and misses the deadline": lambda j: _least(j, j.cost, late=True),
    "Who is done exactly at the deadline is in time": lambda j: _least(j, j.cost, strict=True),
    "That is the fastest: dollars were asked": lambda j: _least(j, j.seconds),
    "You take the cheapest a sample one after another until it is in time: the last one may be more than is "
    "needed, and dear; look at whole sets": _one_after_another,
    "You leave out the exchange: it lasts, and everybody is paid for it": lambda j: _least(
        j, lambda r: _free(j, r) * _paid(j, r), _free
    ),
    "You leave the exchange out of the bill: everybody is paid until the job is done": lambda j: _least(
        j, lambda r: _free(j, r) * _paid(j, r)
    ),
    "The exchange counts for each node beyond the first: one alone exchanges nothing": lambda j: _least(
        j, lambda r: _for_all(j, r) * _paid(j, r), _for_all
    ),
    "Those are the fewest nodes: several cheap ones may cost less": lambda j: _least(
        j, lambda r: len(r) + 1e-6 * j.cost(r)
    ),
    "All of them are a set, too": lambda j: _least(
        j,
        lambda r: math.inf if len(r) == len(j.speeds) else j.cost(r),
        lambda j, r: math.inf if len(r) == len(j.speeds) else j.seconds(r),
    ),
    "Those are the fewest dollars a *second*: the job lasts longer with slow ones": lambda j: _least(
        j, lambda r: _paid(j, r)
    ),
    "You let equal shares wait for the slowest: shares go by speed": lambda j: _least(
        j, lambda r: _by_the_slowest(j, r) * _paid(j, r), _by_the_slowest
    ),
}


hire = Exercise(
    key="18.hire",
    title="The cheapest dollars in time",
    difficulty=1,
    minutes=8,
    reference=_hire,
    check=_check_hire,
    hints=(
        "For one set of ranks: how many seconds does the job take, and how many dollars a second?",
        "Twelve nodes have 4,095 sets: `itertools.combinations(range(n), count)` for each count goes through "
        "them all.",
        "Keep the set of the least seconds × sum of dollars, of those whose seconds are within the deadline.",
    ),
)
