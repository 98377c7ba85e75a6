"""The figure of curves that a lab works out: what it draws is what it got, gaps included."""

import numpy as np
import pytest

from ddl_lab import plots
from ddl_lab.plots.lines import lines

X = [0.0, 1.0, 2.0, 3.0]
TWO = {
    "loss (nats)": {"naive": (X, [1, 2, np.inf, np.nan]), "stable": (X, [1, 2, 3, 4])},
    "slope": {"stable": (X, [1, 1, 1, 1])},
}


def curves(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def crosses(ax):
    return [line.get_xdata().tolist() for line in ax.get_lines() if line.get_marker() == "x"]


def test_each_panel_has_its_curves_and_its_y_axis():
    left, right = lines(TWO, "two", x="logit z").axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss (nats)", "slope")
    assert left.get_xlabel() == right.get_xlabel() == "logit z"
    assert list(curves(left)) == ["naive", "stable"]
    assert curves(left)["stable"].get_ydata().tolist() == [1, 2, 3, 4]


def test_what_is_no_number_is_a_gap_with_a_cross_before_it():
    left, _ = lines(TWO, "two", x="z").axes
    assert np.isnan(curves(left)["naive"].get_ydata()[2:]).all()
    assert crosses(left) == [[1.0], []]


def test_a_gap_in_the_middle_has_a_cross_on_both_sides():
    (ax,) = lines({"y": {"c": (X, [np.nan, 1, np.nan, 2])}}, "", x="z").axes
    assert crosses(ax) == [[1.0, 3.0]]


def test_a_label_has_one_colour_in_all_panels_and_stands_in_the_legend_once():
    figure = lines(TWO, "two", x="z")
    left, right = figure.axes
    assert curves(left)["stable"].get_color() == curves(right)["stable"].get_color()
    assert curves(left)["naive"].get_color() != curves(left)["stable"].get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["naive", "stable"]


def test_curves_that_lie_on_each_other_are_told_apart_by_their_lines_too():
    left, _ = lines(TWO, "two", x="z", overlapping=True).axes
    below, above = curves(left).values()
    assert below.get_linewidth() > above.get_linewidth() and above.get_linestyle() == "--"
    plain = curves(lines(TWO, "two", x="z").axes[0]).values()
    assert {line.get_linestyle() for line in plain} == {"-"}


def test_a_logarithmic_x_has_its_ticks_at_the_places_of_the_curves():
    widths = [64, 256, 4096]
    (ax,) = lines({"ms": {"one": (widths, [1, 2, 3])}}, "steps", x="units h", log=["units h"]).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    ax.figure.draw_without_rendering()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["64", "256", "4,096"]
    assert len(ax.xaxis.get_minorticklocs()) == 0


def test_marks_limits_and_scales_are_those_asked_for():
    asked = {"log": ["slope"], "limits": {"slope": (0.1, 10)}, "points": {"loss (nats)": [(1.0, 2.0)]}}
    left, right = lines(TWO, "two", x="z", at=2.5, **asked).axes
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")
    assert right.get_ylim() == (0.1, 10)
    dots = [line.get_xydata().tolist() for line in left.get_lines() if line.get_marker() == "o"]
    assert dots == [[[1.0, 2.0]]]
    for ax in (left, right):
        assert any(list(line.get_xdata()) == [2.5, 2.5] for line in ax.get_lines())


def test_it_is_drawn_on_the_course_s_ground_and_names_itself():
    figure = lines(TWO, "naive and stable", x="z")
    assert repr(figure) == "<figure: naive and stable>" and figure.get_facecolor()[3] == 0
    assert figure.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("headline", ["short", "a title that needs a second line, " * 4])
def test_title_legend_and_axes_do_not_overlap(headline):
    figure = lines(TWO, headline, x="z")
    figure.png()
    boxes = [part.get_window_extent() for part in (figure._suptitle, figure.legends[0], figure.axes[0])]
    assert boxes[0].y0 >= boxes[1].y1 >= boxes[1].y0 >= boxes[2].y1


@pytest.mark.parametrize(
    ("panels", "options", "words"),
    [
        ({}, {}, "no panel"),
        (TWO, {"log": ["w"]}, "no y axis is called w; there are loss"),
        ({"y": {"c": (X, [1.0])}}, {}, r"of 'c' in 'y' x has shape \(4,\), y \(1,\)"),
        ({"y": {"c": ([[1.0]], [[1.0]])}}, {}, "both must be one row"),
    ],
)
def test_what_does_not_fit_is_refused(panels, options, words):
    with pytest.raises(ValueError, match=words):
        lines(panels, "", x="z", **options)


def test_the_room_offers_it():
    assert plots.lines is lines


@pytest.mark.parametrize("high, plain", [(40.0, True), (4e6, False)])
def test_a_logarithmic_y_of_few_decades_has_plain_numbers(high, plain):
    figure = plots.lines({"ms": {"a": ([1, 2], [0.3, high])}}, "t", x="x", log=["ms"])
    figure.canvas.draw()
    (ax,) = figure.axes
    told = [tick.get_text() for tick in ax.get_yticklabels(which="both") if tick.get_text()]
    assert ({"0.5", "1", "2", "5", "10", "20"} <= set(told)) is plain
    assert any("10^" in text for text in told) is not plain
