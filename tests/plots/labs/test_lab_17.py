"""The frameworks beside each other: rings, dots, and crosses where a script has changed."""

import pandas as pd
import pytest

from ddl_lab.plots.labs import lab_17 as figures

RECORDED = pd.DataFrame(
    {
        "framework": ["A", "B", "C"],
        "startup_s": [1.0, 30.0, float("nan")],
        "step_ms": [5.0, 0.5, float("nan")],
        "stale": [False, True, False],
    },
    index=["a", "b", "c"],
)
MINE = pd.DataFrame({"framework": ["A"], "startup_s": [2.0], "step_ms": [6.0]}, index=["a"])


def test_what_ran_is_a_row_sorted_by_its_start_and_what_did_not_is_none():
    figure = figures.beside(RECORDED, MINE, "all")
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["B", "A"]
    assert left.get_xscale() == right.get_xscale() == "log"
    assert "seconds" in left.get_xlabel() and "milliseconds" in right.get_xlabel()


def test_a_ring_is_recorded_a_cross_is_stale_and_a_dot_is_yours():
    left = figures.beside(RECORDED, MINE, "all").axes[0]
    marks = {line.get_label(): (line.get_marker(), list(line.get_xdata())) for line in left.lines}
    assert marks == {"recorded": ("o", [1.0]), "its script has changed": ("x", [30.0]), "yours": ("o", [2.0])}
    names = [
        text.get_text() for text in figures.beside(RECORDED, MINE, "all").axes[1].get_legend().get_texts()
    ]
    assert names == ["recorded", "its script has changed", "yours"]


def test_a_record_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no framework of this table has run"):
        figures.beside(RECORDED[2:], MINE, "none")
