"""A board has a labelled dot for each try; a card has its numbers and its worker."""

from itertools import combinations

import pytest

from ddl_lab.plots.labs import contest as figures

ONE = {"name": "one", "seconds": 1.0, "money": 0.003, "reached": True, "confirmed": True}
CHEAP = ONE | {"name": "cheap", "seconds": 2.0, "money": 0.001}
WORSE = ONE | {"name": "worse", "seconds": 2.5, "money": 0.004, "confirmed": False}
FAR = ONE | {"name": "far", "seconds": 80.0, "money": 0.8, "reached": False}


def test_a_try_is_a_dot_with_its_name_and_what_it_is_worth():
    ax = figures.tries([ONE, CHEAP, WORSE, FAR], "board").axes[0]
    dots = {tuple(line.get_xdata()): line for line in ax.lines if len(line.get_xdata()) == 1}
    assert dots[1.0,].get_ydata() == [0.3] and dots[2.5,].get_markerfacecolor() == "none"
    assert dots[80.0,].get_marker() == "X"
    assert [text.get_text() for text in ax.texts] == ["one", "cheap", "worse", "far"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["counts", "not confirmed", "not reached", "nobody beats\nthem in both"]


def test_unbeaten_are_those_that_no_other_beats_in_both():
    assert [one["name"] for one in figures.unbeaten([WORSE, CHEAP, ONE])] == ["one", "cheap"]


def test_no_name_lies_on_another_or_on_a_dot():
    near = [ONE | {"name": f"try number {n}", "seconds": 1 + n / 20} for n in range(3)] + [FAR]
    figure = figures.tries(near, "board")
    figure.pixels()
    ax = figure.axes[0]
    boxes = [text.get_window_extent().padded(-2) for text in ax.texts]  # letters, without what is above
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    dots = [ax.transData.transform((one["seconds"], 100 * one["money"])) for one in near]
    assert not any(box.contains(*dot) for box in boxes for dot in dots)


def test_a_board_without_a_try_is_told():
    with pytest.raises(ValueError, match=r"task\.score"):
        figures.tries([], "board")


def test_a_card_shows_numbers_and_as_much_of_the_worker_as_has_room():
    told = {
        **{"name": "$mine$", "seed": 3, "failures": True, "nodes": 12, "seconds": 1.25, "node_seconds": 5.0},
        **{"money": 0.0042, "checked": 0.94, "held_out": 0.93, "confirmed": False, "how": "not asked for"},
        **{"digest": "abc", "source": "x = 1\n\n\ndef mine(node):\n" + "    x = 1\n" * 40},
    }
    figure = figures.card(told, [1.25, 0.0, 1.0])
    assert figure.png()
    assert [bar.get_height() for bar in figure.axes[0].patches] == [1.25, 0.0, 1.0]
    words = " ".join(text.get_text() for text in figure.texts)
    for part in ("1.25 s", "0.42 cents", "5 node-seconds", "93.0%", "not confirmed: not asked for", "abc"):
        assert part in words
    assert "def mine(node):" in words and "… and 14 more lines" in words
    assert figure.headline == "ddl_lab, contest 3, with failures: \\$mine\\$"
    assert figure.get_facecolor() == (1, 1, 1, 1)
