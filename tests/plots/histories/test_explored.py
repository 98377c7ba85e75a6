"""The explorer's figure: four axes whose artists are kept, so that redraws are cheap."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes

from ddl_lab.plots.canvas import COLOURS
from ddl_lab.plots.histories import explored
from ddl_lab.plots.histories.curves import curve_of
from ddl_lab.plots.histories.explored import ExploredFigure, Line
from ddl_lab.plots.histories.glance import STEPS
from ddl_lab.virtual.simulation import simulate


def worker(node, steps=6):
    for k in range(steps):
        with node.compute(samples=100 / node.world_size):
            pass
        node.barrier()
        node.record(loss=1.0 / (1 + k))


def line(nodes, colour, speedup=None, **more):
    run = simulate(worker, nodes)
    return Line(f"{nodes} nodes", nodes, curve_of(run, "loss"), speedup, colour=colour, **more), run


@pytest.fixture
def figure():
    return ExploredFigure("loss", simulate(worker, 1))


def draw(figure, front, *lines, history=None):
    figure.draw("loss: told", "virtual clock", front, lines, history)


def test_the_front_line_is_full_the_others_faint_and_a_measured_one_dashed(figure):
    one, _ = line(2, COLOURS[0])
    two, _ = line(4, COLOURS[1])
    three, _ = line(8, COLOURS[2], measured=True)
    draw(figure, "4 nodes", one, two, three)
    drawn = [figure.curves._artists[label]["time"][0] for label in figure.curves.labels]
    assert [found.get_alpha() < 1 for found in drawn] == [True, False, False]
    assert [found.get_linestyle() for found in drawn] == ["-", "-", "--"]


def test_a_line_that_is_not_told_any_more_goes(figure):
    one, _ = line(2, COLOURS[0])
    two, _ = line(4, COLOURS[1])
    draw(figure, "2 nodes", one, two)
    draw(figure, "2 nodes", one)
    assert figure.curves.labels == ["2 nodes"]


def test_a_dot_stands_at_the_speed_up_of_its_node_count_in_factors_of_two(figure):
    one, run = line(4, COLOURS[0], speedup=2.0)
    unknown, _ = line(8, COLOURS[1])
    draw(figure, "4 nodes", one, unknown, history=run)
    assert figure.ratios._dots.get_offsets().tolist() == [[2.0, 1.0]]
    assert figure.ratios._word.get_text() == "2"
    x, y = figure.ratios._ideal.get_data()
    assert list(x) == list(y)


def test_the_timeline_shows_the_first_steps_in_a_fitting_unit(figure):
    one, run = line(4, COLOURS[0])
    draw(figure, "4 nodes", one, history=run)
    ax = figure.first_steps._ax
    assert ax.get_xlabel() == f"milliseconds, first {STEPS} steps (virtual clock)"
    end_ms = run.metrics[run.metrics.step == STEPS - 1].time_s.max() * 1e3
    assert ax.get_xlim() == pytest.approx((0, end_ms))


def test_a_further_metric_has_a_row_of_its_own_with_the_lines_that_have_it():
    figure = ExploredFigure("loss", simulate(worker, 1), ["staleness"])
    one, run = line(2, COLOURS[0])
    two, _ = line(4, COLOURS[1], more={"staleness": curve_of(simulate(worker, 4), "loss")})
    height = figure.shown_size["height"]
    draw(figure, "2 nodes", one, two, history=run)
    assert figure.curves.labels == ["2 nodes", "4 nodes"]
    assert figure.more["staleness"].labels == ["4 nodes"]
    assert height == 100 * (explored.UPPER + explored.MORE + explored.LOWER)
    draw(figure, "2 nodes", one)
    assert figure.more["staleness"].labels == []


def test_what_has_not_changed_is_not_drawn_again(figure, monkeypatch):
    one, run = line(4, COLOURS[0], speedup=3.0)
    draw(figure, "4 nodes", one, history=run)
    whole = figure.png()
    drawn = []
    whole_axes = Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda ax, renderer: (drawn.append(ax), whole_axes(ax, renderer)))
    draw(figure, "4 nodes", one, history=run)
    assert figure.png() == whole
    draw(figure, "4 nodes", Line("4 nodes", 4, one.curve, 3.5), history=run)
    assert figure.png() != whole
    assert not drawn  # but for the dot
    other = simulate(worker, 5)
    draw(figure, "4 nodes", one, history=other)
    figure.png()
    assert drawn == [figure.first_steps._ax]


def test_a_growing_line_is_drawn_over_a_picture_that_is_kept(figure, monkeypatch):
    long, _ = line(2, COLOURS[0])
    front, _ = line(4, COLOURS[1])
    drawn, whole = [], Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda ax, renderer: (drawn.append(ax), whole(ax, renderer)))
    pictures = []
    for steps in (3, 4, 5):
        short = curve_of(simulate(worker, 4, args=(steps,)), "loss")
        figure.draw("told", "virtual clock", front.label, [long, replace(front, curve=short)], None, False)
        pictures.append(figure.png())
        if steps == 3:
            drawn.clear()
    assert not drawn and len(set(pictures)) == 3
    figure.draw("other words", "virtual clock", "2 nodes", [long, front], None, False)
    assert figure.png() not in pictures and not drawn
    figure.draw("told", "wall clock", "2 nodes", [long, front], None, False)
    figure.png()
    assert len(drawn) == 2  # an axis has another name


def test_axes_that_fit_stay_as_they_are_unless_exact_ones_are_asked_for(figure):
    long, _ = line(2, COLOURS[0])
    short = replace(long, curve=curve_of(simulate(worker, 2, args=(5,)), "loss"))
    ax = figure.curves._axes["steps"]
    draw(figure, "2 nodes", long)
    limits = ax.get_xlim()
    figure.draw("told", "virtual clock", "2 nodes", [short], None, False)
    assert ax.get_xlim() == limits
    draw(figure, "2 nodes", short)
    assert ax.get_xlim()[1] < limits[1]


def test_a_measured_speed_up_is_a_ring_and_the_title_says_so(figure):
    told, run = line(4, COLOURS[0], speedup=3.0)
    real = Line("4 processes", 4, told.curve, 2.0, measured=True, colour=COLOURS[1])
    draw(figure, "4 nodes", told, history=run)
    assert figure.ratios._title.get_text() == "dashed: ideal"
    draw(figure, "4 nodes", told, real, history=run)
    assert figure.ratios._title.get_text() == "dashed: ideal; ring: measured"
    assert figure.ratios._dots.get_offsets().tolist() == [[2.0, pytest.approx(np.log2(3.0))], [2.0, 1.0]]
    filled, ring = figure.ratios._dots.get_facecolor()
    assert filled[3] == 1 and ring[3] == 0


def test_the_picture_is_both_rows_at_their_size(figure):
    one, _ = line(4, COLOURS[0])
    draw(figure, "4 nodes", one)
    assert figure.shown_size == {"width": 760, "height": 540}
    assert len(figure.png()) < len(figure.png(quick=True)) < 150_000
    assert repr(figure) == "<figure: loss: told>"


def test_powers_of_two_stay_few():
    places, words = explored._powers(0, 17)
    assert len(places) <= 7 and words[0] == "1" and np.all(np.diff(places) == places[1])
