"""The cheapest in time."""

from exercising import passes, refused

from ddl_lab.exercises import lab_16 as exercise


def by_sorting(hours, deadline, fixed=0.0):
    bills = sorted((h * (n + fixed), n) for n, h in hours.items() if h <= deadline)
    return bills[0][1] if bills else None


def by_a_loop(hours, deadline, fixed=0.0):
    best, least = None, float("inf")
    for n in hours:
        if not hours[n] > deadline and hours[n] * n + hours[n] * fixed < least:
            best, least = n, hours[n] * n + hours[n] * fixed
    return best


def with_pandas(hours, deadline, fixed=0.0):
    import pandas as pd

    took = pd.Series(hours)
    took = took[took <= deadline]
    return None if took.empty else (took * (took.index + fixed)).idxmin()


test_any_style_passes = passes(exercise.cheapest, by_sorting, by_a_loop, with_pandas)


def choosing(by, late=False, strict=False):
    def answer(hours, deadline, fixed=0.0):
        kept = [n for n in hours if late or (hours[n] < deadline if strict else hours[n] <= deadline)]
        return min(kept, key=lambda n: by(hours, n, fixed), default=None)

    return answer


def bill(hours, n, fixed):
    return hours[n] * (n + fixed)


test_a_mistake_is_named = refused(
    exercise.cheapest,
    (choosing(bill, late=True), "misses the deadline"),
    (lambda h, d, f=0.0: by_sorting(h, int(d), f), "is None, and 16 nodes are done in 6.5 h"),
    (choosing(bill, strict=True), "exactly at the deadline"),
    (choosing(lambda h, n, f: h[n] * n), "paid by the hour besides"),
    (choosing(lambda h, n, f: h[n] * n + f), "is hours · fixed"),
    (choosing(lambda h, n, f: n * (h[n] + f)), "is hours · fixed"),
    (choosing(lambda h, n, f: h[n]), "That is the fastest"),
    (choosing(lambda h, n, f: n), "the fewest nodes in time"),
    (choosing(lambda h, n, f: -h[n]), "and the slowest"),
    (lambda h, d, f=0.0: by_sorting(h, d, f) or 64, "return None"),
    (lambda h, d, f=0.0: by_sorting(h, d, f) and h[by_sorting(h, d, f)], "a whole number"),
    (lambda h, d, f=0.0: by_sorting(h, d, f) and 3, "is none of the counts"),
)
