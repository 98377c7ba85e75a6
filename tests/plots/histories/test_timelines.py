"""The timeline of few and of many ranks, and what can be drawn over it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgba

import ddl_lab as lab
from ddl_lab import plots
from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder
from ddl_lab.plots.histories.crowd import shares_over_time
from ddl_lab.plots.histories.lanes import WORK, lanes_of
from ddl_lab.plots.histories.window import Window


def made(*ranks, clock="virtual", **about):
    """A history of hand-made ranks, each a list of (kind, start_s, end_s, peer, bytes, label)."""
    recorders = []
    for rows in ranks:
        recorder = Recorder()
        for row in rows:
            recorder.span(*row)
        recorders.append(recorder)
    ends = {rank: max((row[2] for row in rows), default=0) for rank, rows in enumerate(ranks)}
    return History(clock, recorders, finished_s=ends, about=about)


FAST = [("compute", 0, 4), ("wait", 4, 12, -1, 0, "all_reduce"), ("all_reduce", 12, 16)]
SLOW = [("compute", 0, 12), ("all_reduce", 12, 16)]
MESSAGE = [("compute", 0, 2), ("send", 2, 6, 1, 8)], [("wait", 0, 5, 0, 0, "recv"), ("recv", 5, 6, 0, 8)]


def arrows(figure):
    """The arrows as ((x, y), (x, y)), from and to."""
    found = [c for c in figure.axes[0].collections if hasattr(c, "U")]
    return [
        ((x, y), (x + u, y + v))
        for quiver in found
        for x, y, u, v in zip(quiver.X, quiver.Y, quiver.U, quiver.V, strict=True)
    ]


def strong(figure):
    """The bars in full colours as (lane, left, right), by kind of work."""
    found = {}
    for collection in figure.axes[0].collections:
        for work, colour in WORK.items():
            faces = collection.get_facecolor()
            if len(faces) and tuple(faces[0]) == to_rgba(colour):
                corners = [path.vertices for path in collection.get_paths()]
                bars = [(round(c[:, 1].mean()), c[:, 0].min(), c[:, 0].max()) for c in corners]
                found.setdefault(work, []).extend(bars)
    return {work: sorted(bars) for work, bars in found.items() if bars}


def test_messages_are_arrows_from_the_send_to_the_end_of_its_receive_and_only_on_request():
    assert arrows(plots.timeline(made(*MESSAGE), messages=True)) == [((2, 0), (6, 1))]
    assert arrows(plots.timeline(made(*MESSAGE))) == []
    assert "arrows: messages" in plots.timeline(made(*MESSAGE), messages=True).get_suptitle()


def test_only_the_windows_messages_have_arrows():
    assert arrows(plots.timeline(made(*MESSAGE), messages=True, seconds=1.5)) == []


def test_the_critical_path_stands_out_and_is_told_in_shares():
    figure = plots.timeline(made(FAST, SLOW), critical=True)
    assert strong(figure) == {"compute": [(1, 0, 12)], "communicate": [(0, 12, 16)]}
    assert "critical path: 75% compute, 25% communicate" in figure.get_suptitle()
    assert len(strong(plots.timeline(made(FAST, SLOW)))["compute"]) == 2


def marks(figure):
    return {text.get_text(): text.get_position() for text in figure.axes[0].texts}


def test_hands_are_written_in_their_lane_at_their_time():
    history = made(FAST, SLOW, marks=[(6.0, 1, "slow x10"), [8.0, 0, "paused"]])
    figure = plots.timeline(history)
    found = marks(figure)
    assert [found["slow x10"][1], found["paused"][1]] == [1, 0]
    ticks = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert sorted(c.get_segments()[0][0, 0] for c in ticks) == [6, 8]


def test_hands_outside_the_window_are_left_out():
    history = made(FAST, SLOW, marks=[(6.0, 1, "slow x10"), (14.0, 0, "killed")])
    assert list(marks(plots.timeline(history, seconds=(5, 7)))) == ["slow x10"]


@pytest.mark.parametrize("nodes", [2, 40])
def test_words_of_hands_neither_overlap_nor_leave_the_figure(nodes):
    when = (0.1, 6.0, 6.01, 6.02, 15.9, 15.99)
    history = made(*[FAST] * (nodes - 1), SLOW, marks=[(t, 1, f"slow x{k}") for k, t in enumerate(when)])
    figure = plots.timeline(history)
    FigureCanvasAgg(figure).draw()
    boxes = sorted((t.get_window_extent() for t in figure.axes[0].texts), key=lambda box: box.x0)
    assert len(boxes) == len(when)
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    assert boxes[0].x0 >= 0 and boxes[-1].x1 <= figure.bbox.x1


def test_many_ranks_are_drawn_as_shares_of_them():
    figure = plots.timeline(made(*[FAST] * 36, *[SLOW] * 4))
    ax = figure.axes[0]
    assert ax.get_ylabel() == "share of 40 nodes"
    assert ax.get_xlabel() == "seconds (virtual clock)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(WORK)
    assert "40 simulated nodes, virtual clock" in figure.get_suptitle()


def test_shares_over_time_are_those_of_the_spans():
    lanes = lanes_of(made(*[FAST] * 3, SLOW))
    edges, shares = shares_over_time(lanes, 4, Window(0, 20), bins=5)  # bins of 4 s
    assert edges.tolist() == [0, 4, 8, 12, 16, 20]
    np.testing.assert_allclose(
        shares, [[1, 0.25, 0.25, 0, 0], [0, 0, 0, 1, 0], [0, 0.75, 0.75, 0, 0]], atol=1e-12
    )


def test_shares_of_part_of_a_bin_count_by_time():
    lanes = lanes_of(made([("compute", 1, 2), ("wait", 2, 3)]))
    _, shares = shares_over_time(lanes, 1, Window(0, 4), bins=1)
    np.testing.assert_allclose(shares[:, 0], [0.25, 0, 0.25])


def test_shares_of_a_message_beside_other_work_do_not_count_twice():
    lanes = lanes_of(made([("compute", 0, 2), ("send", 0, 2, 1, 8)]))
    _, shares = shares_over_time(lanes, 1, Window(0, 2), bins=1)
    np.testing.assert_allclose(shares[:, 0], [1, 0, 0])


def low_bars(figure):
    """The bars in the lower part of lane 0, left and right, from left to right."""
    paths = [path for c in figure.axes[0].collections for path in c.get_paths()]
    low = [p.vertices for p in paths if len(p.vertices) >= 4 and p.vertices[:, 1].min() == 0.1]
    return sorted((corners[:, 0].min(), corners[:, 0].max()) for corners in low)


def test_faint_messages_under_way_at_once_lie_beside_each_other():
    sends = [("send", 0, 2, 1, 8), ("send", 0, 5, 2, 8), ("send", 1, 3, 3, 8), ("compute", 0, 6)]
    history = made(sends, [("compute", 0, 8)])
    assert low_bars(plots.timeline(history)) == [(0, 2), (0, 5), (1, 3)]
    assert low_bars(plots.timeline(history, critical=True)) == [(0, 2), (2, 5)]


def test_many_ranks_have_their_critical_path_above_the_shares():
    figure = plots.timeline(made(*[FAST] * 36, *[SLOW] * 4), critical=True)
    assert "critical path: 75% compute, 25% communicate" in figure.get_suptitle()
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "critical"
    high = [c for c in figure.axes[0].collections for p in c.get_paths() if p.vertices[:, 1].min() > 1]
    assert [to_hex(c.get_facecolor()[0]).upper() for c in high] == [WORK["compute"], WORK["communicate"]]


def test_a_window_zooms_into_many_ranks_too():
    def worker(node):
        for _ in range(4):
            with node.compute(seconds=1.0):
                pass
            node.barrier()
            node.record(loss=1.0)

    history = lab.simulate(worker, 40, cluster=lab.Cluster(latency_s=0.0))
    figure = plots.timeline(history, steps=(1, 3))
    assert figure.axes[0].get_xlim() == pytest.approx((1, 3))
    assert "steps 1 to 2 of 4 steps" in figure.get_suptitle()


def test_arrows_between_many_ranks_are_refused_in_words():
    with pytest.raises(ValueError, match=r"32 ranks.* has 33: leave the arrows out"):
        plots.timeline(made(*[SLOW] * 33), messages=True)


def test_a_timeline_is_called_what_its_title_says_before_the_nodes_and_the_clock():
    told = plots.timeline(made(FAST, SLOW), title="one step").get_suptitle()
    assert told == "one step: 2 simulated nodes, virtual clock"
    assert plots.timeline(made(FAST, SLOW)).get_suptitle().startswith("timeline: ")


def test_lanes_and_shares_of_one_run_agree():
    def worker(node):
        block = torch.zeros(1000)
        for _ in range(3):
            with node.compute(samples=10 * (1 + node.rank)):
                pass
            node.all_reduce(block)

    history = lab.simulate(worker, 4)
    _, shares = shares_over_time(lanes_of(history), 4, Window(0, history.elapsed_s))
    by_rank = history.shares().loc[[0, 1, 2, 3], ["compute", "communicate", "wait"]].mean()
    np.testing.assert_allclose(shares.mean(axis=1), by_rank, rtol=1e-9)


def test_the_legend_names_the_kinds_of_work_that_occur():
    def alone(node):
        with node.compute(seconds=1.0):
            pass

    (ax,) = plots.timeline(lab.simulate(alone, 1)).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["compute"]


ON_A_MESH = [  # 2 x 2: ranks 0, 1 and 2, 3 along tensor; 0, 2 and 1, 3 along data
    [
        ("compute", 0, 4),
        ("all_reduce", 4, 6, -1, 8, f"sum, ranks {r // 2 * 2}, {r // 2 * 2 + 1}"),
        ("all_reduce", 6, 9, -1, 8, f"mean, ranks {r % 2}, {r % 2 + 2}"),
        ("send", 9, 10, 0, 8),
    ]
    for r in range(4)
]


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_collectives_of_groups_of_different_shape_are_told_apart():
    history = made(*ON_A_MESH)
    lanes = lanes_of(history)
    assert lanes.tints == ("groups like 0, 1", "groups like 0, 2")
    assert [lanes.tint[lanes.rank == rank].tolist() for rank in range(4)] == [[0, 1, 2, 0]] * 4
    figure = plots.timeline(history)
    told = ["compute", "messages", "groups like 0, 1", "groups like 0, 2"]
    assert legend(figure) == told
    colours = {to_hex(c.get_facecolor()[0]) for c in figure.axes[0].collections if len(c.get_paths())}
    assert len(colours) == 4
    assert strong(figure)["communicate"] == [(rank, 9, 10) for rank in range(4)]


def test_groups_of_one_shape_are_one_kind_as_they_were():
    history = made(*([row for row in rows if "mean" not in str(row)] for rows in ON_A_MESH))
    assert lanes_of(history).tints == ()
    assert legend(plots.timeline(history)) == ["compute", "communicate"]


def test_a_collective_of_all_is_a_kind_beside_those_of_groups():
    history = made(*([*rows, ("barrier", 10, 11)] for rows in ON_A_MESH))
    assert lanes_of(history).tints == ("groups like 0, 1", "groups like 0, 2", "all ranks")


def test_a_mesh_that_ran_has_a_kind_for_each_dimension():
    def worker(node):
        with node.compute(seconds=1):
            pass
        row, column = divmod(node.rank, 8)
        node.group(range(8 * row, 8 * row + 8)).all_reduce(torch.ones(8))
        node.group([column, column + 8]).all_reduce(torch.ones(8))

    lanes = lanes_of(lab.simulate(worker, 16))
    assert lanes.tints == ("groups like 0, 1, …, 7", "groups like 0, 8")


def test_the_only_group_of_its_shape_is_named_as_itself():
    rows = [[("all_reduce", 0, 1, -1, 8, f"sum, ranks {pair}")] for pair in ("0, 1", "0, 1", "2, 4", "2, 4")]
    assert lanes_of(made(*rows)).tints == ("group 0, 1", "group 2, 4")
