"""The figures of lab 02: what they draw is what they were given; what doesn't fit is refused."""

import numpy as np
import pytest

from ddl_lab import plots
from ddl_lab.plots.labs.lab_02 import Plane, descent, step_errors

STEPS = np.geomspace(1e-6, 1, 7)
A, B = np.linspace(-1.0, 3.0, 9), np.linspace(-2.0, 2.0, 5)
BOWL = Plane(A, B, 0.2 + (A[None, :] - 1.0) ** 2 + B[:, None] ** 2)


def test_errors_stand_on_two_logarithmic_axes_with_the_prediction_dashed():
    figure = step_errors(
        STEPS, {"float32": STEPS, "float64": STEPS**2}, {"float32": 1e-2, "float64": 1e-4}, "V"
    )
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert np.array_equal(drawn["float64"].get_ydata(), STEPS**2)
    dashed = [
        line.get_xdata()[0]
        for line in ax.get_lines()
        if line.get_linestyle() == "--" and len(line.get_xdata())
    ]
    assert dashed == [1e-2, 1e-4]
    assert repr(figure) == "<figure: V>" and figure.get_facecolor()[3] == 0


def test_an_error_of_zero_has_no_place_on_a_logarithmic_axis_and_leaves_a_gap():
    figure = step_errors([0.1, 1.0], {"x": [0.0, 1.0]}, {"x": 0.1}, "")
    assert np.isnan(figure.axes[0].get_lines()[0].get_ydata()[0])


@pytest.mark.parametrize(
    ("errors", "predicted", "words"),
    [
        ({"a": [1, 2]}, {"b": 1.0}, r"errors of \['a'\], predictions of \['b'\]"),
        ({"a": [1]}, {"a": 1.0}, "2 steps and 1 errors of a"),
    ],
)
def test_errors_that_do_not_match_are_refused(errors, predicted, words):
    with pytest.raises(ValueError, match=words):
        step_errors([0.1, 1.0], errors, predicted, "")


def test_paths_lie_on_the_plane_and_losses_beside_it():
    path = [[0.0, 0.0], [0.5, 0.1], [1.0, 0.0]]
    left, right = descent(BOWL, {"lr 0.1": (path, [1.2, 0.5])}, "down").axes
    assert np.array_equal(left.get_lines()[-1].get_xydata(), path)
    assert list(right.get_lines()[0].get_ydata()) == [1.2, 0.5]
    assert left.get_xlim() == (-1.0, 3.0) and left.get_ylim() == (-2.0, 2.0)
    cross = left.get_lines()[0]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (1.0, 0.0)
    assert cross.get_zorder() > max(line.get_zorder() for line in left.get_lines()[1:]), "paths hide it"


def test_a_run_that_leaves_the_plane_stretches_no_axis():
    away = ([[0.0, 0.0], [1e9, 1e9], [np.nan, np.nan]], [1.2, 1e18])
    left, right = descent(BOWL, {"too far": away, "fine": ([[0.0, 0.0]] * 3, [1.2, 1.1])}, "").axes
    assert left.get_xlim() == (-1.0, 3.0)
    assert right.get_ylim()[1] < 10
    assert descent(BOWL, {"too far": away}, "").png().startswith(b"\x89PNG")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(9, 5\) and must have .* \(5, 9\)"):
        Plane(A, B, np.zeros((9, 5)))
    with pytest.raises(ValueError, match=r"'x' has shape \(3,\), and not \(steps, 2\)"):
        descent(BOWL, {"x": ([1, 2, 3], [1.0])}, "")


def test_the_room_offers_both():
    assert plots.descent is descent and plots.step_errors is step_errors
