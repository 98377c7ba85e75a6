"""Losses against learning rates: a band of seeds, a ring at the lowest median, a panel a setting."""

import math

import pandas as pd
import pytest

from ddl_lab.plots.labs import lab_13 as figures

TABLE = pd.DataFrame(
    [
        (name, batch, lr, seed, loss + 0.01 * seed)
        for name, batch in (("SGD", 50), ("SGD", 2000), ("Adam", 50))
        for lr, loss in ((0.1, 0.5), (0.2, 0.3), (0.4, math.inf))
        for seed in range(3)
    ],
    columns=["optimiser", "batch", "lr", "seed", "loss"],
)


def test_each_setting_has_a_panel_and_each_way_one_colour():
    figure = figures.rates(TABLE, "swept", by="optimiser", panels="batch", unit=" digits")
    assert [ax.get_title() for ax in figure.axes] == ["50 digits", "2,000 digits"]
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["SGD", "Adam"]
    colours = [{line.get_label(): line.get_color() for line in ax.lines} for ax in figure.axes]
    assert colours[0]["SGD"] == colours[1]["SGD"] != colours[0]["Adam"]


def test_a_ring_marks_the_lowest_median_and_what_left_the_numbers_stands_on_the_edge():
    (ax,) = figures.rates(TABLE[TABLE.batch == 50], "swept", by="optimiser").axes
    curve, ring = ax.lines[0], ax.lines[1]
    assert curve.get_ydata().tolist() == pytest.approx([0.51, 0.31, 1.0])
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == pytest.approx((0.2, 0.31))
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_an_empty_table_is_an_error():
    with pytest.raises(ValueError, match="no row"):
        figures.rates(TABLE[:0], "none", by="optimiser")
