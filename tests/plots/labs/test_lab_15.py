"""Trials of a search: each at its place, its area by its steps, the best one ringed."""

import pytest

from ddl_lab.plots.labs import lab_15 as figures
from ddl_lab.plots.labs.lab_15 import Point

RANDOM = [Point(0.1, 32, 90, 0.9), Point(1.0, 64, 90, 0.95), Point(0.01, 8, 90, 0.6)]
HALVED = [Point(0.1, 32, 10, 0.8), Point(1.0, 64, 30, 0.92)]


def test_a_panel_a_search_with_trials_at_their_settings_and_areas_by_steps():
    figure = figures.trials({"random": RANDOM, "halving": HALVED}, "two searches")
    first, second = figure.axes[:2]
    assert [ax.get_title() for ax in (first, second)] == ["random", "halving"]
    assert first.get_xscale() == first.get_yscale() == "log"
    (dots,) = second.collections
    assert dots.get_offsets().tolist() == [[0.1, 32], [1.0, 64]]
    assert dots.get_sizes()[1] == 3 * dots.get_sizes()[0]
    assert dots.get_array().tolist() == [0.8, 0.92]


def test_the_best_is_ringed_and_colours_mean_the_same_in_all_panels():
    figure = figures.trials({"random": RANDOM, "halving": HALVED}, "two searches")
    rings = [ax.lines[0].get_xydata().tolist() for ax in figure.axes[:2]]
    assert rings == [[[1.0, 64.0]], [[1.0, 64.0]]]
    assert len({ax.collections[0].get_clim() for ax in figure.axes[:2]}) == 1


@pytest.mark.parametrize("panels", [{}, {"random": []}])
def test_without_a_trial_it_is_an_error(panels):
    with pytest.raises(ValueError, match="trials got nothing to draw"):
        figures.trials(panels, "none")
