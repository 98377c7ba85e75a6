"""The figures of staleness: what they draw is what the server recorded."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import ddl_lab as lab
from ddl_lab.plots.canvas import COLOURS
from ddl_lab.plots.labs import lab_07 as figures

ROWS = {"staleness": [0, 1, 1, 3], "worker": [1, 2, 1, 2]}


def served(node, staleness, workers):
    for stale, worker in zip(staleness, workers, strict=True):
        with node.compute(seconds=1.0):
            pass
        node.record(staleness=stale, worker=worker)


def run_of(staleness, workers=None):
    return lab.simulate(served, 1, args=(staleness, workers or [1] * len(staleness)))


def bars(ax):
    (group,) = ax.containers
    return [bar.get_height() for bar in group]


def test_each_run_has_a_panel_its_bars_are_shares_and_the_dashes_its_mean():
    one, other = run_of([0, 1, 1, 2]), run_of([2, 2])
    figure = figures.histogram({"measured": one, "simulated": other})
    assert [bars(ax) for ax in figure.axes] == [[25.0, 50.0, 25.0], [0.0, 0.0, 100.0]]
    assert [ax.get_lines()[0].get_xdata()[0] for ax in figure.axes] == [1.0, 2.0]
    colours = [to_hex(ax.patches[0].get_facecolor()).upper() for ax in figure.axes]
    assert colours == list(COLOURS[:2])
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["measured\nmean 1.00", "simulated\nmean 2.00"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.axes[0].get_ylabel() == "gradients (%)" and "virtual clock" in figure.headline


def test_the_last_bar_gathers_the_rest_and_says_so():
    (ax,) = figures.histogram({"long": run_of([1] * 30 + [90, 100])}).axes
    shares = bars(ax)
    assert len(shares) == figures.MOST_BARS + 1 and sum(shares) == pytest.approx(100)
    assert shares[-1] == pytest.approx(100 * 2 / 32)
    assert [text.get_text() for text in ax.get_xticklabels()][-1] == f"{figures.MOST_BARS}+"


def test_over_time_each_worker_has_its_marks_and_hands_are_named():
    history = run_of(ROWS["staleness"], ROWS["worker"])
    history.about["marks"] = [(2.5, 2, "slow x5")]
    (ax,) = figures.over_time(history).axes
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert np.array(drawn["rank 1"].get_data()).tolist() == [[1.0, 3.0], [0.0, 1.0]]
    assert np.array(drawn["rank 2"].get_data()).tolist() == [[2.0, 4.0], [1.0, 3.0]]
    assert [text.get_text() for text in ax.texts] == [" rank 2: slow x5"]
    assert 2.5 in [line.get_xdata()[0] for line in ax.get_lines()]
    assert ax.get_xlabel() == "seconds (virtual clock)"
    assert all(float(place).is_integer() for place in ax.get_yticks())


def nothing(node):
    node.record(loss=1.0)


def no_worker(node):
    node.record(staleness=1)


def test_what_was_not_recorded_is_named():
    with pytest.raises(ValueError, match="of 'sync' has no staleness"):
        figures.histogram({"sync": lab.simulate(nothing, 1)})
    with pytest.raises(ValueError, match="the history has no staleness"):
        figures.over_time(lab.simulate(nothing, 1))
    with pytest.raises(ValueError, match="worker="):
        figures.over_time(lab.simulate(no_worker, 1))
    with pytest.raises(ValueError, match="got no run"):
        figures.histogram({})
