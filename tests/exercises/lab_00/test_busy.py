"""The busy share: of the whole run, by a table's means or by a loop."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_00 as exercise


def spans_of(history, *kinds):
    spans = history.spans
    spans = spans[spans["kind"].isin(kinds)] if kinds else spans
    return spans.assign(took_s=spans["end_s"] - spans["start_s"])


def seconds(history, *kinds):
    return spans_of(history, *kinds).groupby("rank")["took_s"].sum()


def shares(history):
    return seconds(history, "compute").reindex(range(history.nodes), fill_value=0.0) / history.elapsed_s


def of_one_span(history):
    took_s = spans_of(history, "compute").groupby("rank")["took_s"].first()
    return list(took_s.reindex(range(history.nodes), fill_value=0.0) / history.elapsed_s)


def of_its_own_spans(history):
    return list((shares(history) * history.elapsed_s / seconds(history)).fillna(0.0))


def of_its_own_end(history):
    return list(shares(history) * history.elapsed_s / history.spans.groupby("rank")["end_s"].max())


def one_minus_the_rest(history):
    waited = seconds(history) - seconds(history, "compute").reindex(range(history.nodes), fill_value=0.0)
    return list(1 - waited / history.elapsed_s)


def by_a_loop(history):
    found = [0.0] * history.nodes
    for span in history.spans.itertuples():
        if span.kind == "compute":
            found[span.rank] += (span.end_s - span.start_s) / history.elapsed_s
    return found


def as_a_column(history):
    return shares(history)


def as_a_tensor(history):
    return torch.tensor(list(shares(history)))


def by_numpy(history):
    spans = spans_of(history, "compute")
    total = np.bincount(spans["rank"], weights=spans["took_s"], minlength=history.nodes)
    return total / np.float64(history.elapsed_s)


def of_four_ranks(history):
    took_s = seconds(history, "compute")
    return [took_s.get(rank, 0.0) / history.elapsed_s for rank in range(4)]


def zeros_in_front(history):
    found = list(seconds(history, "compute") / history.elapsed_s)
    return [0.0] * (history.nodes - len(found)) + found


def with_a_column_more(history):
    spans = history.spans
    spans["took_s"] = (spans["end_s"] - spans["start_s"]) * (spans["kind"] == "compute")
    return tuple(
        spans["took_s"][spans["rank"] == rank].sum() / history.elapsed_s for rank in range(history.nodes)
    )


def from_the_first_compute(history):
    spans = spans_of(history, "compute")
    return list(shares(history) * history.elapsed_s / (history.elapsed_s - spans["start_s"].min()))


test_a_share_is_right_in_any_style = passes(
    exercise.busy, with_a_column_more, by_a_loop, as_a_column, as_a_tensor, by_numpy
)

test_a_mistake_is_named = refused(
    exercise.busy,
    (from_the_first_compute, "the list differs"),
    (lambda h: sorted(shares(h)), "the list differs"),
    (zeros_in_front, "the list differs"),
    (of_four_ranks, "your list has 4 numbers: there are 3 ranks"),
    (lambda h: list(shares(h) * h.elapsed_s), "these are seconds"),
    (lambda h: list(shares(h) * 100), "these are percent, 100 times too large"),
    (lambda h: list(shares(h) / shares(h).sum()), "shares of all computing, which add up to 1"),
    (lambda h: list(seconds(h) / h.elapsed_s), "you counted every span"),
    (lambda h: list(shares(h) / 3), "sum over a rank's spans"),
    (of_its_own_spans, "you divide by the time that each rank itself was at it"),
    (of_its_own_end, "you divide by the time that each rank itself was at it"),
    (one_minus_the_rest, "one minus what the rank waited"),
    (lambda h: list(seconds(h, "compute") / h.elapsed_s), "3 numbers for 4 ranks: rank 0 computed nothing"),
    (lambda h: float(shares(h).mean()), "your list is a float: a list was asked"),
    (lambda h: dict(shares(h)), "your list is a dict: a list was asked"),
    (lambda h: list(shares(h))[::-1], "the list differs"),
    (lambda h: h.span["kind"], "AttributeError"),
    (of_one_span, "the list differs"),
)
