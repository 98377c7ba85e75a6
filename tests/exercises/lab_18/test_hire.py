"""The cheapest dollars in time."""

import itertools

import numpy as np
from exercising import passes, refused, said

from ddl_lab.exercises import lab_18 as exercise


def by_bits(speeds, dollars, samples, exchange_s, deadline_s):
    bills = []
    for bits in range(1, 2 ** len(speeds)):
        ranks = [r for r in range(len(speeds)) if bits >> r & 1]
        took = samples / sum(speeds[r] for r in ranks) + exchange_s * (len(ranks) - 1)
        if not took > deadline_s:
            bills.append((took * sum(dollars[r] for r in ranks), ranks))
    return min(bills)[1] if bills else None


def with_numpy(speeds, dollars, samples, exchange_s, deadline_s):
    sets = np.array(list(itertools.product([0, 1], repeat=len(speeds)))[1:])
    took = samples / (sets @ np.array(speeds)) + exchange_s * (sets.sum(1) - 1)
    bills = np.where(took <= deadline_s, took * (sets @ np.array(dollars)), np.inf)
    return None if np.isinf(bills).all() else np.flatnonzero(sets[bills.argmin()])


def by_recursion(speeds, dollars, samples, exchange_s, deadline_s):
    def best(rank, taken):
        if rank == len(speeds):
            if not taken:
                return float("inf"), None
            took = samples / sum(speeds[r] for r in taken) + (len(taken) - 1) * exchange_s
            bill = took * sum(dollars[r] for r in taken)
            return (bill, taken) if took <= deadline_s else (float("inf"), None)
        return min(best(rank + 1, taken), best(rank + 1, (*taken, rank)), key=lambda found: found[0])

    return best(0, ())[1]


test_any_style_passes = passes(exercise.hire, by_bits, with_numpy, by_recursion)


def choosing(by=None, seconds=None, late=False, strict=False):
    """The least ``by`` of (seconds, dollars a second, ranks) among those in time."""

    def answer(speeds, dollars, samples, exchange_s, deadline_s):
        def took(ranks, right=False):
            if seconds and not right:
                return seconds([speeds[r] for r in ranks], samples, exchange_s)
            return samples / sum(speeds[r] for r in ranks) + exchange_s * (len(ranks) - 1)

        def rate(ranks):
            return sum(dollars[r] for r in ranks)

        counts = range(1, len(speeds) + 1)
        sets = [ranks for n in counts for ranks in itertools.combinations(range(len(speeds)), n)]
        kept = [s for s in sets if late or took(s) < deadline_s or (not strict and took(s) == deadline_s)]
        order = by or (lambda t, d, ranks: t * d)
        return list(min(kept, key=lambda s: order(took(s), rate(s), s))) if kept else None

    return answer


def greedy(speeds, dollars, samples, exchange_s, deadline_s):
    order = sorted(range(len(speeds)), key=lambda r: dollars[r] / speeds[r])
    for n in range(1, len(order) + 1):
        if samples / sum(speeds[r] for r in order[:n]) + exchange_s * (n - 1) <= deadline_s:
            return order[:n]
    return None


def unpaid_exchange(speeds, dollars, samples, exchange_s, deadline_s):
    """Counts it for the deadline, not for the bill."""
    by = choosing(lambda t, d, ranks: (t - exchange_s * (len(ranks) - 1)) * d)
    return by(speeds, dollars, samples, exchange_s, deadline_s)


def never_all(speeds, dollars, samples, exchange_s, deadline_s):
    bills = []
    for count in range(1, len(speeds)):
        for ranks in itertools.combinations(range(len(speeds)), count):
            took = samples / sum(speeds[r] for r in ranks) + exchange_s * (count - 1)
            if took <= deadline_s:
                bills.append((took * sum(dollars[r] for r in ranks), ranks))
    return min(bills)[1] if bills else None


def a_link_each(v, s, e):
    return s / sum(v) + e * len(v) * (len(v) - 1) / 2


def never_none(*job):
    return by_bits(*job) or [0]


test_a_mistake_is_named = refused(
    exercise.hire,
    (choosing(late=True), "you hire rank 1, 200 s and 90 dollars; ranks 0, 1 would take 75 s"),
    (choosing(late=True), "misses the deadline"),
    (choosing(strict=True), "exactly at the deadline is in time"),
    (choosing(lambda t, d, ranks: t), "That is the fastest: dollars were asked"),
    (greedy, "one after another until it is in time"),
    (choosing(seconds=lambda v, s, e: s / sum(v)), "You leave out the exchange"),
    (unpaid_exchange, "You leave the exchange out of the bill"),
    (choosing(seconds=lambda v, s, e: s / sum(v) + e * len(v)), "one alone exchanges nothing"),
    (choosing(seconds=lambda v, s, e: s / len(v) / min(v) + e * (len(v) - 1)), "wait for the slowest"),
    (choosing(lambda t, d, ranks: d), "the fewest dollars a *second*"),
    (choosing(lambda t, d, ranks: (len(ranks), t * d)), "the fewest nodes"),
    (never_all, "All of them are a set, too"),
    (never_none, "nobody is in time"),
    (lambda *job: job and None, "you return None; ranks 0, 1 would take 75 s"),
    (lambda *job: [], "your list is empty"),
    (lambda *job: [0, 0], "a rank stands in [0, 0] twice"),
    (lambda *job: [4], "and there are 0 to 3"),
    (lambda *job: len(by_bits(*job) or []), "a list was asked"),
)


def test_who_counts_a_link_for_each_pair_does_not_hear_that_one_alone_exchanges():
    state, text = said(exercise.hire, choosing(seconds=a_link_each))
    assert state == "not yet" and "you return None" in text and "one alone" not in text
