"""Races on logarithmic axes, and a sweep: a colour a family, rings without memory, crosses for the lost."""

import pandas as pd
import pytest

from ddl_lab.plots.labs import lab_11 as figures

CURVES = {"dense": ([1.0, 10.0], [0.7, 0.3]), "top 1 %": ([0.1, 1.0], [0.7, 0.4])}
TABLE = pd.DataFrame(
    [("top 1.0%", "nothing", 0.3, 48), ("top 0.1%", "memory", 0.28, 5), ("QSGD 4 bits", "memory", 90.0, 300)],
    columns=["way", "remembered", "loss", "kb"],
)


def test_a_race_has_a_panel_for_each_x_and_one_colour_a_label():
    figure = figures.races({"megabytes": CURVES, "seconds": CURVES}, "a race", target=0.4)
    assert [ax.get_xlabel() for ax in figure.axes] == ["megabytes", "seconds"]
    assert all(ax.get_xscale() == "log" for ax in figure.axes)
    one, other = ([line.get_color() for line in ax.lines] for ax in figure.axes)
    assert one == other and len(set(one)) == 3
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == list(CURVES)


def test_what_memory_does_is_filled_and_what_is_lost_is_a_cross():
    ax = figures.sweep(TABLE, "all ways").axes[0]
    drawn = {
        (line.get_marker(), line.get_markerfacecolor() == "none", len(line.get_xdata())) for line in ax.lines
    }
    assert ("o", True, 1) in drawn and ("o", False, 1) in drawn and ("x", False, 1) in drawn
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["top-k", "QSGD"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: figures.races({}, "none"), "races got no panel"),
        (lambda: figures.races({"s": {"a": ([0.0], [1.0])}}, "none"), "'a' has x = 0"),
        (lambda: figures.sweep(TABLE[:0], "none"), "no row that remembers"),
    ],
)
def test_what_can_t_be_drawn_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()
