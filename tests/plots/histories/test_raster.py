"""The first steps as an image: each rank's lane has the colour of what it did, where it did it."""

import numpy as np

from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder
from ddl_lab.plots.histories.raster import BEHIND, COLUMNS, LANE, MOST_ROWS, raster

COLOURS = np.array([[1, 1, 1, 255], [2, 2, 2, 255], [3, 3, 3, 255]], dtype=np.uint8)


def history(*spans_by_rank):
    recorders = []
    for spans in spans_by_rank:
        recorders.append(Recorder())
        for kind, start, end in spans:
            recorders[-1].span(kind, start, end)
    return History("virtual", recorders)


def lane(run, rank=0, start_s=0.0, end_s=1.0, row=0):
    pixels, _ = raster(run, start_s, end_s, COLOURS)
    return pixels.reshape(-1, LANE, COLUMNS, 4)[rank, row, :, 0]


def test_each_span_has_its_colour_at_its_time_and_gaps_are_clear():
    found = lane(history([("compute", 0.0, 0.25), ("all_reduce", 0.25, 0.5), ("wait", 0.75, 1.0)]))
    quarter = COLUMNS // 4
    assert [set(found[k * quarter : (k + 1) * quarter]) for k in range(4)] == [{1}, {2}, {0}, {3}]


def test_lanes_are_in_the_order_of_ranks_and_apart():
    run = history([("compute", 0.0, 1.0)], [("wait", 0.0, 1.0)])
    assert (set(lane(run, 0)), set(lane(run, 1))) == ({1}, {3})
    assert set(lane(run, 0, row=LANE - 1)) == {0}


def test_a_message_beside_arithmetic_lies_in_the_lower_part_of_its_lane():
    run = history([("compute", 0.0, 1.0), ("send", 0.0, 1.0)])
    assert set(lane(run, row=0)) == {1}
    assert set(lane(run, row=LANE - BEHIND)) == {2}


def test_the_shortest_span_still_shows():
    assert list(lane(history([("send", 0.5, 0.5 + 1e-9)]))).count(2) == 1


def test_spans_beyond_the_end_are_cut():
    found = lane(history([("compute", 0.5, 9.0), ("wait", 2.0, 3.0)]))
    assert set(found[: COLUMNS // 2]) == {0} and set(found[COLUMNS // 2 :]) == {1}


def test_a_window_may_begin_later_than_the_run():
    run = history([("compute", 0.0, 2.5), ("wait", 2.5, 9.0)])
    found = lane(run, start_s=2.0, end_s=3.0)
    assert set(found[: COLUMNS // 2]) == {1} and set(found[COLUMNS // 2 :]) == {3}


def test_of_many_ranks_every_so_many_th_has_a_lane():
    pixels, ranks = raster(history(*[[("compute", 0.0, 1.0)]] * 1000), 0.0, 1.0, COLOURS)
    assert len(ranks) == MOST_ROWS and (ranks[0], ranks[-1]) == (0, 999)
    assert pixels.shape == (MOST_ROWS * LANE, COLUMNS, 4)
