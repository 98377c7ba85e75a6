"""The figures: what they draw is what was recorded, and they say on which clock."""

import io
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from ddl_lab import plots
from ddl_lab.cluster.model import Cluster
from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder
from ddl_lab.plots.histories.lanes import WORK, lanes_of
from ddl_lab.virtual.simulation import simulate


def history(rows=(), spans=(), clock="virtual", nodes=2, **about):
    """A history with rows (rank, time_s, metrics) and spans (rank, kind, start_s, end_s)."""
    recorders = [Recorder() for _ in range(nodes)]
    for rank, time_s, metrics in rows:
        recorders[rank].row(time_s, metrics)
    for rank, kind, start_s, end_s in spans:
        recorders[rank].span(kind, start_s, end_s)
    ends = [time_s for _, time_s, _ in rows] + [end_s for *_, end_s in spans]
    return History(clock, recorders, finished_s={r: max(ends, default=0) for r in range(nodes)}, about=about)


TOGETHER = [(rank, t, {"loss": loss + rank}) for rank in (0, 1) for t, loss in ((1, 8), (2, 6), (3, 5))]


def line(ax):
    (found,) = ax.get_lines()
    return [values.tolist() for values in found.get_data()]


def band(ax):
    (found,) = ax.collections
    vertices = found.get_paths()[0].vertices
    return {x: (vertices[vertices[:, 0] == x, 1].min(), vertices[vertices[:, 0] == x, 1].max()) for x in
            set(vertices[:, 0].tolist())}  # fmt: skip


def test_metric_draws_the_mean_over_ranks_against_time_and_against_steps():
    by_time, by_step = plots.metric(history(TOGETHER)).axes
    assert line(by_time) == [[1, 2, 3], [8.5, 6.5, 5.5]]
    assert line(by_step) == [[0, 1, 2], [8.5, 6.5, 5.5]]
    assert by_time.get_xlabel() == "seconds (virtual clock)"
    assert (by_step.get_xlabel(), by_time.get_ylabel()) == ("steps", "loss (nats)")


def test_the_band_reaches_from_the_lowest_to_the_highest_rank():
    for ax in plots.metric(history(TOGETHER)).axes:
        assert [band(ax)[x] for x in sorted(band(ax))] == [(8, 9), (6, 7), (5, 6)]


def test_the_title_explains_a_band_only_where_several_ranks_recorded():
    def server(node):
        if node.rank == 0:
            node.record(loss=1.0)

    alone = simulate(server, 3).plot_metric("loss")
    assert "band" not in alone.headline and "3 simulated nodes" in alone.headline


def test_bands_lie_inside_the_axes():
    rows = [(0, 1, {"loss": 1.0}), (0, 2, {"loss": 1.0}), (1, 1, {"loss": -50.0}), (1, 2, {"loss": 70.0})]
    for ax in plots.metric(history(rows)).axes:
        low, high = ax.get_ylim()
        assert low < -50 and high > 70


def test_ranks_that_step_at_their_own_times_count_with_their_newest_value():
    fast = [(0, 1 + k, {"loss": 10.0 - k}) for k in range(6)]
    slow = [(1, 3.0, {"loss": 4.0}), (1, 6.0, {"loss": 2.0})]
    by_time, _ = plots.metric(history(fast + slow)).axes
    x, mean = line(by_time)
    assert x == [1, 2, 3, 4, 5, 6]
    assert mean == [10, 9, (8 + 4) / 2, (7 + 4) / 2, (6 + 4) / 2, (5 + 2) / 2]


def test_ranks_that_meet_in_every_step_have_a_mean_for_each_step_however_late_one_records():
    late = [
        (rank, t + 0.9 * rank, {"loss": loss + rank}) for rank, t, row in TOGETHER for loss in row.values()
    ]
    by_time, _ = plots.metric(history(late)).axes
    assert line(by_time) == [pytest.approx([1.45, 2.45, 3.45]), [9, 7, 6]]


def test_a_smoothed_metric_is_the_mean_of_each_ranks_last_steps_and_says_so():
    rows = [(0, 1 + k, {"loss": value}) for k, value in enumerate((8.0, 6.0, 4.0, 8.0))]
    figure = plots.metric(history(rows, nodes=1), smooth=2)
    for ax in figure.axes:
        assert line(ax)[1] == [8, 7, 5, 6]
    assert "; mean of 2 steps" in figure.get_suptitle()
    assert "mean of" not in plots.metric(history(rows, nodes=1)).get_suptitle()


def test_smoothing_over_more_steps_than_there_are_and_over_gaps():
    rows = [(0, 1 + k, {"loss": value}) for k, value in enumerate((2.0, np.nan, 4.0, 6.0, 8.0))]
    by_time, _ = plots.metric(history(rows, nodes=1), smooth=2).axes
    np.testing.assert_array_equal(line(by_time)[1], [2, np.nan, np.nan, 5, 7])
    by_time, _ = plots.metric(history(rows[:1], nodes=1), smooth=100).axes
    assert line(by_time)[1] == [2]


def test_ranks_without_the_metric_do_not_count():
    rows = [*TOGETHER, (0, 4, {"accuracy": 0.5}), (0, 5, {"accuracy": 0.75})]
    _, by_step = plots.metric(history(rows), "accuracy").axes
    assert line(by_step) == [[3, 4], [0.5, 0.75]]


def test_many_rows_make_a_curve_that_a_screen_can_show():
    recorders = [Recorder(), Recorder()]
    for rank, recorder in enumerate(recorders):
        for k in range(20_000):
            recorder.row((k + 0.1) * (1 + 2 * rank), {"loss": 1.0})
    by_time, _ = plots.metric(History("virtual", recorders)).axes
    assert len(line(by_time)[0]) == 500


def test_one_step_shows_as_a_point():
    (found,) = plots.metric(history(TOGETHER[:1], nodes=1), against="time").axes[0].get_lines()
    assert found.get_marker() == "."


def test_a_loss_that_diverged_leaves_a_figure():
    rows = [(0, 1, {"loss": 1.0}), (0, 2, {"loss": np.inf}), (0, 3, {"loss": np.nan})]
    figure = plots.metric(history(rows, nodes=1))
    assert np.isfinite(figure.axes[0].get_ylim()).all()
    assert figure.png()


@pytest.mark.parametrize(
    ("clock", "about", "words"),
    [
        ("virtual", {}, "2 simulated nodes, virtual clock"),
        ("wall", {"transport": "shm"}, "2 processes over shm, wall clock"),
        ("paced", {"transport": "gloo"}, "2 processes over gloo, paced clock"),
    ],
)
def test_titles_say_who_ran_and_on_which_clock(clock, about, words):
    run = history(TOGETHER, [(0, "compute", 0, 1)], clock, **about)
    for figure in (plots.metric(run), plots.timeline(run)):
        assert words in figure.get_suptitle()
        assert words in repr(figure)
        assert clock in figure.axes[0].get_xlabel()


@pytest.mark.parametrize(
    ("clock", "missed_s", "marks", "said"),
    [
        ("paced", 0.5, [], True),
        ("paced", 0.01, [], False),  # of a second and more: a word would be too much
        ("paced", 0.5, [(0.2, 1, "paused")], False),  # a hand asked for it
        ("virtual", 0.0, [], False),
    ],
)
def test_titles_say_that_a_pace_was_missed(clock, missed_s, marks, said):
    run = history(TOGETHER, [(0, "compute", 0, 1)], clock, marks=marks)
    run.recorders[1].missed_s = missed_s
    other = history(TOGETHER, [(0, "compute", 0, 1)], "virtual")
    for figure in (plots.metric(run), plots.timeline(run), plots.metric({"a": run, "b": other})):
        assert ("clock, missed by up to 0.5 s" in figure.get_suptitle().replace("\n", " ")) == said


def test_a_title_too_long_for_its_figure_takes_two_lines():
    narrow = plots.metric(history(TOGETHER), against="time").get_suptitle()
    wide = plots.metric(history(TOGETHER)).get_suptitle()
    assert narrow.count("\n") == 1 and narrow.replace("\n", " ") == wide


def test_several_histories_get_a_colour_and_a_name_each():
    runs = {"gloo": history(TOGETHER, clock="wall"), "model": history(TOGETHER)}
    ax = plots.metric(runs).axes[-1]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["gloo\n(wall clock)", "model\n(virtual clock)"]
    assert len({to_hex(found.get_color()) for found in ax.get_lines()}) == 2


def test_a_long_name_stands_beside_the_axes_in_a_line_for_each_part_and_is_not_cut():
    slow = "8 nodes, latency 800 µs, bandwidth 1600 MB/s"
    figure = plots.metric({"4 nodes, slow": history(TOGETHER), slow: history(TOGETHER)})
    short, long = figure.axes[-1].get_legend().get_texts()
    assert short.get_text() == "4 nodes, slow" and long.get_text() == slow.replace(", ", ",\n")
    figure.draw_without_rendering()
    assert long.get_window_extent().x1 <= figure.bbox.x1


def test_histories_of_one_clock_are_named_without_it():
    runs = {"2": history(TOGETHER), "1": history(TOGETHER[:3], nodes=1)}
    figure = plots.metric(runs)
    assert [t.get_text() for t in figure.axes[-1].get_legend().get_texts()] == ["2", "1"]
    assert "simulated nodes, virtual clock" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plots.metric(history(TOGETHER), "los"), ValueError, "no metric 'los'.*it has loss"),
        (lambda: plots.metric({"a": history()}), ValueError, "of 'a' has no metrics.*record\\(loss="),
        (lambda: plots.metric(history(TOGETHER), against="rank"), ValueError, "both, time, steps"),
        (lambda: plots.metric({}), ValueError, "no history"),
        (lambda: plots.metric([1.0]), TypeError, "a History.*got \\[1.0\\]"),
        (lambda: plots.timeline(history()), ValueError, "no spans.*node.compute"),
        (lambda: plots.metric(history(TOGETHER), smooth=0), ValueError, "smooth=0.*steps from 1 up"),
        (lambda: plots.speedup({1: history(TOGETHER)}), ValueError, "1 node has 0.0.*samples=…"),
        (lambda: plots.speedup({}), ValueError, "no rates"),
        (lambda: plots.speedup({"shm": {0: 1.0}}), ValueError, "0 of 'shm' is no number of nodes"),
        (lambda: plots.speedup({2: -1.0}), ValueError, "2 nodes have -1.0"),
        (lambda: plots.speedup({1: 1.0}, clock="sun"), ValueError, "virtual, wall, paced"),
    ],
)
def test_bad_input_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    "window", [{"steps": 0}, {"steps": (3, 3)}, {"steps": 2.5}, {"seconds": -1}, {"seconds": (2, 1)}]
)
def test_a_window_that_is_none_is_refused_with_an_example(window):
    (name,) = window
    with pytest.raises(ValueError, match=f"timeline\\({name}=.*as in"):
        plots.timeline(history(TOGETHER, [(0, "compute", 0, 1)]), **window)


def test_a_window_of_two_kinds_or_behind_the_end_is_refused():
    run = history(TOGETHER, [(0, "compute", 0, 1)])
    with pytest.raises(ValueError, match="not both"):
        plots.timeline(run, seconds=1, steps=1)
    with pytest.raises(ValueError, match="has 3 steps"):
        plots.timeline(run, steps=(3, 5))


def bars(figure):
    """By colour: the bars as (lane, left, right, height)."""
    found = {}
    for collection in figure.axes[0].collections:
        colour = to_hex(collection.get_facecolor()[0])
        corners = [path.vertices for path in collection.get_paths()]
        found.setdefault(colour.upper(), []).extend(
            (round(c[:, 1].mean()), c[:, 0].min(), c[:, 0].max(), np.ptp(c[:, 1])) for c in corners
        )
    return {work: found[colour] for work, colour in WORK.items()}


def test_each_span_is_a_bar_in_its_ranks_lane_and_its_kinds_colour():
    spans = [(0, "compute", 0, 1), (0, "all_reduce", 1, 2), (1, "compute", 0, 0.5), (1, "wait", 0.5, 1)]
    spans += [(1, "all_reduce", 1, 2), (1, "barrier", 2, 2.5)]
    figure = plots.timeline(history(spans=spans))
    rounded = {work: [tuple(np.round(bar, 6)) for bar in drawn] for work, drawn in bars(figure).items()}
    assert rounded == {
        "compute": [(0, 0, 1, 0.8), (1, 0, 0.5, 0.8)],
        "communicate": [(0, 1, 2, 0.8), (1, 1, 2, 0.8), (1, 2, 2.5, 0.8)],
        "wait": [(1, 0.5, 1, 0.8)],
    }
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["rank 0", "rank 1"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == list(WORK)


def test_a_message_beside_other_work_lies_low_in_its_lane():
    spans = [(0, "send", 0.5, 2), (0, "compute", 0, 1), (0, "wait", 1, 2), (0, "send", 2, 3)]
    run = history(spans=spans, nodes=1)
    low, full = bars(plots.timeline(run))["communicate"][::-1]
    assert low[3] < full[3]
    (note,) = [
        t.get_text() for t in plots.timeline(run).axes[0].get_legend().get_texts() if "low" in t.get_text()
    ]
    assert note.startswith("communicate")


@pytest.mark.parametrize(
    ("spans", "behind"),
    [
        ([("send", 0, 1), ("compute", 1, 2), ("recv", 2, 3)], []),  # one after the other
        ([("compute", 0, 2), ("send", 1, 3)], ["send"]),
        ([("send", 0, 2), ("compute", 1, 3)], ["send"]),
        ([("send", 0, 9), ("compute", 1, 2), ("compute", 4, 5), ("recv", 6, 7)], ["send", "recv"]),
        ([("compute", 0, 1), ("wait", 1, 3), ("recv", 3, 4)], []),
    ],
)
def test_messages_that_share_time_with_other_spans_are_beside_them(spans, behind):
    run = history(spans=[(0, *span) for span in spans], nodes=1)
    kinds = run.spans.kind.to_numpy()
    assert kinds[lanes_of(run).behind].tolist() == behind


@pytest.mark.parametrize(
    ("end_s", "label", "right"),
    [(5e-4, "microseconds", 500), (0.5, "milliseconds", 500), (50.0, "seconds", 50)],
)
def test_the_time_axis_has_a_unit_that_fits(end_s, label, right):
    ax = plots.timeline(history(spans=[(0, "compute", 0, end_s)])).axes[0]
    assert ax.get_xlabel() == f"{label} (virtual clock)"
    assert ax.get_xlim() == pytest.approx((0, right))


def long_run():
    def worker(node):
        for _ in range(100):
            with node.compute(seconds=1.0):
                pass
            node.barrier()
            node.record(loss=1.0)

    return simulate(worker, 2, cluster=Cluster(latency_s=0.0))


def test_a_long_run_shows_its_first_ten_steps_and_says_so():
    figure = plots.timeline(long_run())
    assert figure.axes[0].get_xlim() == pytest.approx((0, 10))
    assert "first 10 of 100 steps" in figure.get_suptitle()
    assert len(bars(figure)["compute"]) == 2 * 10


def test_steps_and_seconds_choose_the_window():
    by_steps = plots.timeline(long_run(), steps=(20, 23))
    assert by_steps.axes[0].get_xlim() == pytest.approx((20, 23))
    assert "steps 20 to 22 of 100 steps" in by_steps.get_suptitle()
    assert "step 20 of 100 steps" in plots.timeline(long_run(), steps=(20, 21)).get_suptitle()
    by_seconds = plots.timeline(long_run(), seconds=(4, 6.5))
    assert by_seconds.axes[0].get_xlim() == pytest.approx((4, 6.5))
    assert "first 100 of 100" in plots.timeline(long_run(), steps=1000).get_suptitle()


def test_speedup_is_in_units_of_one_node_beside_the_ideal():
    ax = plots.speedup({1: 100.0, 2: 150.0, 4: 420.0}).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [1, 1.5, 4.2]
    assert [found.get_ydata()[0] for found in ax.get_lines()] == [1, 2, 4]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "4"]


def test_the_dashes_of_the_ideal_strike_no_number_through():
    ax = plots.speedup({1: 100.0, 2: 176.0, 4: 240.0}).axes[0]
    places = {text.get_text(): text.xy[1] for text in ax.texts}
    assert places == {"1": 1, "1.76": 2, "2.4": 2.4}


def test_speedup_without_one_node_counts_from_the_fewest():
    ax = plots.speedup({2: 50, 8: 150}, clock="paced").axes[0]
    assert [bar.get_height() for bar in ax.patches] == [2, 6]
    assert "paced clock" in ax.figure.get_suptitle()


def test_histories_give_the_rates_and_the_clock_of_a_speedup():
    def worker(node):
        with node.compute(samples=100):
            pass
        node.barrier()

    cluster = Cluster(speeds=[100.0, 50.0], latency_s=0.0)
    runs = {1: simulate(worker, 1, cluster=Cluster(speeds=100.0)), 2: simulate(worker, 2, cluster=cluster)}
    ax = plots.speedup(runs).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [1, 1]  # twice the samples in twice the time
    assert "virtual clock" in ax.figure.get_suptitle()


def test_bars_of_several_rows_stand_side_by_side():
    ax = plots.speedup({"gloo": {1: 1.0, 2: 1.0}, "shm": {1: 1.0, 2: 2.0}}).axes[0]
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(left[1] <= right[0] for left, right in pairwise(edges))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gloo", "shm"]


def test_the_picture_is_the_same_bytes_without_program_or_date_and_has_a_clear_ground():
    first, again = (plots.metric(history(TOGETHER))._repr_png_() for _ in range(2))
    assert first == again
    data, size = first
    image = Image.open(io.BytesIO(data))
    assert not image.info.keys() - {"transparency", "gamma", "dpi"}
    assert image.convert("RGBA").getpixel((2, 2))[3] == 0
    assert size == {"width": 760, "height": 310}
    assert len(data) < 40_000


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("ground", [1.0, 0.0667])
def test_words_and_first_colours_stand_out_from_light_and_dark_pages(ground):
    from matplotlib.colors import to_rgb

    from ddl_lab.plots.canvas import COLOURS, INK

    def contrast(colour):
        light = sorted((luminance(to_rgb(colour)) + 0.05, luminance((ground,) * 3) + 0.05))
        return light[1] / light[0]

    assert contrast(INK) > 4.2
    assert all(contrast(colour) > 3 for colour in COLOURS[:3])


def test_importing_the_plots_loads_no_matplotlib_and_drawing_no_pyplot():
    code = """if True:
    import sys
    from ddl_lab import plots
    assert "matplotlib" not in sys.modules
    plots.speedup({1: 1.0}).png()
    assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_history_draws_itself():
    run = history(TOGETHER, [(0, "compute", 0, 1)])
    assert run.plot_metric("loss", against="steps").axes[0].get_xlabel() == "steps"
    assert len(run.plot_timeline(seconds=0.5).axes) == 1
