"""The figures of what messages cost: what they draw is what they were given, with units on the axes."""

import pytest
from matplotlib.colors import to_hex

from ddl_lab import plots
from ddl_lab.plots.canvas import COLOURS

RING = {1_000: 2e-4, 100_000: 3e-4}
TREE = {1_000: 1e-4, 100_000: 9e-4}


def drawn(ax, marker):
    """Rows and colours of what has this marker, in the order drawn, without rings and marks."""
    found = [line for line in ax.get_lines() if line.get_marker() == marker and line.get_markersize() < 10]
    data = [[values.tolist() for values in line.get_data()] for line in found]
    return data, [to_hex(line.get_color()).upper() for line in found]


def ticks(axis):
    axis.axes.figure.canvas.draw()
    return [text.get_text().replace("\u2212", "-") for text in axis.get_ticklabels()]


def test_lines_and_dots_of_one_label_share_a_colour():
    (ax,) = plots.costs({"ring": RING, "tree": TREE}, "h", dots={"tree": {1_000: 2e-4}}).axes
    lines, colours = drawn(ax, "None")
    dots, dot_colours = drawn(ax, "o")
    assert lines == [[list(RING), list(RING.values())], [list(TREE), list(TREE.values())]]
    assert dots == [[[1_000], [2e-4]]]
    assert colours == list(COLOURS[:2]) and dot_colours == [COLOURS[1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ring", "tree"]


def test_dots_without_a_line_are_in_the_legend_too():
    (ax,) = plots.costs({"ring": RING}, "h", dots={"paced": TREE}).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ring", "paced"]


def test_both_axes_are_logarithmic_with_units_on_their_ticks():
    (ax,) = plots.costs({"ring": RING}, "h").axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("bytes", "seconds")
    assert {"1 kB", "10 kB", "100 kB"} <= set(ticks(ax.xaxis))
    assert any(text.endswith(" µs") for text in ticks(ax.yaxis))


def test_counts_stand_on_plain_linear_axes_where_that_is_asked():
    (ax,) = plots.costs({"swap": {1: 8e-3, 24: 4e-3}}, "h", x="layers a bucket", log=False).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")
    assert "10" in ticks(ax.xaxis) and ax.get_xlabel() == "layers a bucket"


def test_the_marked_place_is_ringed():
    (ax,) = plots.costs({"ring": RING}, "h", mark=(100_000, 3e-4)).axes
    (ring,) = [line for line in ax.get_lines() if line.get_markersize() > 10]
    assert [values[0] for values in ring.get_data()] == [100_000, 3e-4]


def test_fitted_shows_the_ratio_of_measured_to_model():
    measured = {"gloo": {1_000: 4e-4, 100_000: 3e-4}}
    times, ratios = plots.fitted(measured, {"gloo": RING}, "h").axes
    assert drawn(times, "o")[0] == [[[1_000, 100_000], [4e-4, 3e-4]]]
    assert drawn(ratios, "o") == ([[[1_000, 100_000], [2.0, 1.0]]], [COLOURS[0]])
    low, high = ratios.get_ylim()
    assert low < 0.5 and high > 2 and "1" in ticks(ratios.yaxis)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plots.costs({}, "h"), "nothing to draw"),
        (lambda: plots.costs({"ring": {}}, "h"), "nothing to draw"),
        (lambda: plots.costs({"ring": {1: 0.0}}, "h"), "'ring' has 0 at 1; it takes numbers above 0"),
        (lambda: plots.costs({"ring": {1: float("nan")}}, "h", log=False), "it takes finite numbers"),
        (lambda: plots.fitted({"a": RING}, {"a": {1_000: 1.0}}, "h"), "no value at 100000 bytes"),
        (lambda: plots.fitted({"a": RING}, {}, "h"), "the line of 'a'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
