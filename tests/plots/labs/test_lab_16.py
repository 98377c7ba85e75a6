"""Speed-ups with laws, ratios around 1, and brackets whose widths are told."""

import pytest

from ddl_lab.plots.labs import lab_16 as figures

SEEN, LATER = {1: 1.0, 4: 3.9}, {16: 12.0, 64: 30.0}
LAWS = {"Amdahl": {1: 1.0, 64: 50.0}, "USL": {1: 1.0, 64: 29.0}}


def test_laws_are_lines_what_was_fitted_dots_and_what_is_so_rings():
    ax = figures.scaling(LAWS, "laws", fitted=SEEN, beyond=LATER, mark=16).axes[0]
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("log", "log", "nodes")
    drawn = {line.get_label(): line for line in ax.lines}
    assert list(drawn["USL"].get_xdata()) == [1, 64] and drawn["USL"].get_marker() == "None"
    assert list(drawn["what was fitted"].get_ydata()) == [1.0, 3.9]
    assert drawn["what is so"].get_markerfacecolor() == "none"
    assert drawn["Amdahl"].get_linestyle() != drawn["USL"].get_linestyle()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *LAWS,
        "what was fitted",
        "what is so",
    ]


def test_a_ratio_is_a_dot_in_its_kinds_colour_and_a_faint_one_a_ring():
    rows = {"server, 2": {"own pace": 1.1, "paced": 1.02}, "server, 4": {"own pace": 2.4}}
    ax = figures.ratios(rows, "ratios", faint=["paced"]).axes[0]
    dots = [(line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor() == "none")
            for line in ax.lines if len(line.get_xdata()) == 1]  # fmt: skip
    assert dots == [(1.1, 0, False), (1.02, 0, True), (2.4, 1, False)]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
    low, high = ax.get_xlim()
    assert low < 1 / 2.4 and high > 2.4


def test_a_bracket_is_a_bar_with_its_width_beside_it_and_the_published_number_on_it():
    ax = figures.brackets({"VGG": (0.5, 0.8), "Net": (0.9, 1.0)}, {"VGG": 0.68}, "brackets").axes[0]
    assert [(bar.get_x(), round(bar.get_width(), 6)) for bar in ax.patches] == [(0.5, 0.3), (0.9, 0.1)]
    assert {text.get_text() for text in ax.texts} == {"0.30 wide", "0.10 wide"}
    (dot,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.68, 0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: figures.scaling({}, "none"), "scaling got nothing"),
        (lambda: figures.scaling({"Amdahl": {4: 0.0}}, "none"), "'Amdahl' has 0 at 4"),
        (lambda: figures.ratios({}, "none"), "ratios got nothing"),
        (lambda: figures.ratios({"a": {"b": float("nan")}}, "none"), "'a' has nan at b"),
        (lambda: figures.brackets({}, {}, "none"), "brackets got no row"),
        (lambda: figures.brackets({"a": (0.9, 0.8)}, {}, "none"), "'a' goes from 0.9 to 0.8"),
        (lambda: figures.brackets({"a": (0.1, 0.8)}, {"b": 1.0}, "none"), "no row is called b"),
    ],
)
def test_what_can_t_be_drawn_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()
