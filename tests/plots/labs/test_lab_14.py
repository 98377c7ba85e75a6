"""What an interval costs, what a job's time went to, and liars: what is drawn, and what can't be."""

import pandas as pd
import pytest

from ddl_lab.plots.labs import lab_14 as figures

COSTS = {"4 nodes": {10.0: 1.3, 20.0: 1.24, 40.0: 1.32}, "1 node": {10.0: 1.25, 20.0: 1.14, 40.0: 1.1}}
LIFE = [("work that stays", 0.0, 20.0), ("saving", 20.0, 22.0), ("work that is lost", 22.0, 30.0),
        ("starting again", 30.0, 31.0), ("work that stays", 31.0, 40.0)]  # fmt: skip
TABLE = pd.DataFrame(
    [
        ("honest", "mean", 0.85),
        ("honest", "median", 0.84),
        ("one liar", "mean", 0.5),
        ("one liar", "median", 0.84),
    ],
    columns=["case", "rule", "accuracy"],
)


def test_costs_stand_beside_what_the_time_went_to():
    figure = figures.lost_work(COSTS, {"4 nodes": LIFE}, "why", at=20.0, best={"1 node": 39.0})
    costs, lives = figure.axes
    assert [text.get_text() for text in costs.get_legend().get_texts()] == list(COSTS)
    rings = [line.get_xydata().tolist() for line in costs.lines if line.get_markerfacecolor() == "none"]
    assert rings == [[[40.0, 1.1]]]
    assert [len(bars.get_paths()) for bars in lives.collections] == [2, 1, 1, 1]
    assert [tick.get_text() for tick in lives.get_yticklabels()] == ["4 nodes"]


def test_dots_are_drawn_in_the_colour_of_their_curve_and_without_lives_costs_stand_alone():
    (ax,) = figures.lost_work(COSTS, {}, "why", at=20.0, dots={"4 nodes": {20.0: 1.25}}).axes
    dotted = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [line.get_xydata().tolist() for line in dotted] == [[[20.0, 1.25]]]
    assert dotted[0].get_color() == ax.lines[0].get_color()


def test_every_rule_has_its_colour_and_every_case_its_row():
    (ax,) = figures.accuracies(TABLE, "liars").axes
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["mean"].get_xdata().tolist() == [0.85, 0.5]
    assert [round(place) for place in drawn["median"].get_ydata()] == [0, 1]
    assert drawn["mean"].get_color() != drawn["median"].get_color()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: figures.lost_work({}, {}, "none", at=1.0), "got no curve"),
        (lambda: figures.lost_work(COSTS, {"a": [("idle", 0, 1)]}, "none", at=1.0), "no kind is called idle"),
        (lambda: figures.accuracies(TABLE[:0], "none"), "got an empty table"),
    ],
)
def test_what_can_t_be_drawn_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()
