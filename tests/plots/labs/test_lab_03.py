"""plots.one_step: what is drawn is what was given, and emptiness is refused in words."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ddl_lab.plots.labs import lab_03 as one_step


def points(ax):
    return {
        line.get_label(): tuple(values.tolist() for values in line.get_data())
        for line in ax.get_lines()
        if line.get_linestyle() == "None"
    }


def test_panels_share_an_axis_and_a_label_keeps_its_colour():
    panels = {"sum": {"N = 1": [0.7, 0.6], "N = 2": [0.7, 9.0]}, "mean": {"N = 2": [0.7, 0.6]}}
    left, right = one_step.side_by_side(panels, "two rules").axes
    assert left.get_ylim() == right.get_ylim() and left.get_yscale() == "log"
    colour = {
        line.get_label(): to_hex(line.get_color()) for line in left.get_lines() if "N" in line.get_label()
    }
    (again,) = [line for line in right.get_lines() if line.get_label() == "N = 2"]
    assert to_hex(again.get_color()) == colour["N = 2"] != colour["N = 1"]
    assert again.get_ydata().tolist() == [0.7, 0.6]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["N = 1", "N = 2"]


def test_noise_draws_points_where_measured_and_lines_where_the_theory_is_above_zero():
    figure = one_step.noise({"drawn": {1: 8.0, 4: 2.0}}, {"law": lambda b: 8.0 / b - 1.0}, 0.5, 16)
    (ax,) = figure.axes
    assert points(ax)["drawn"] == ([1, 4], [8.0, 2.0])
    (law,) = [line for line in ax.get_lines() if line.get_label() == "law"]
    x, y = law.get_data()
    assert (x[0], x[-1]) == (1, pytest.approx(16))
    assert np.isnan(y[x > 8.01]).all() and y[0] == pytest.approx(7.0)
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_waiting_sets_the_simulated_points_beside_the_law():
    found = {2: {0.5: 3.0, 1.0: 4.0}}
    figure = one_step.waiting({"share (%)": (lambda nodes, alpha: nodes * alpha, found)}, "α")
    (ax,) = figure.axes
    assert points(ax)["N = 2"] == ([0.5, 1.0], [3.0, 4.0])
    (law,) = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
    assert law.get_ydata()[-1] == 2.0 and ax.get_ylabel() == "share (%)"


def test_memory_stacks_the_parts_and_writes_the_total():
    figure = one_step.memory({"SGD": {"a": 1_000_000, "b": 500_000}, "Adam": {"a": 2_000_000}}, "m")
    (ax,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0.0, 1.0), (1.0, 0.5), (0.0, 2.0)]
    assert [text.get_text() for text in ax.texts] == ["1.50", "2.00"]
    assert to_hex(ax.patches[0].get_facecolor()) == to_hex(ax.patches[2].get_facecolor())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: one_step.side_by_side({"sum": {}}, ""), "without curves"),
        (lambda: one_step.noise({}, {}, 1.0, 10), "nothing measured"),
        (lambda: one_step.waiting({}, ""), "no panel"),
        (lambda: one_step.memory({}, ""), "no bars"),
    ],
)
def test_emptiness_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
