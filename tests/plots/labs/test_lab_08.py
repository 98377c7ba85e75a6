"""The figure of schedules: a box for each forward and backward, where and when it is."""

import pytest
from matplotlib.colors import to_hex

from ddl_lab import plots
from ddl_lab.plots.labs.lab_08 import COLOURS, LATER
from ddl_lab.strategies.playing import Played, Span, play
from ddl_lab.strategies.schedules import by_stage, gpipe, interleaved, one_f_one_b, with_messages, zero_bubble

PANELS = {
    "GPipe": play(with_messages(by_stage(gpipe, 3, 4)), 1, 2),
    "1F1B": play(with_messages(by_stage(one_f_one_b, 3, 4)), 1, 2),
}


def boxes(ax):
    """(lane, start, end) of all boxes, to the width of the gap between them."""
    return [(round(p.get_y() + p.get_height() / 2), p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]


def test_every_forward_and_backward_is_a_box_on_its_nodes_lane():
    figure = plots.schedules(PANELS, "two")
    for ax, played in zip(figure.axes, PANELS.values(), strict=True):
        assert len(ax.patches) == len(played.spans) == 3 * 8
        for (lane, start, end), span in zip(boxes(ax), played.spans, strict=True):
            assert lane == span.rank and start == span.start_s
            assert span.end_s - 0.1 < end < span.end_s
        assert ax.get_xlim()[1] >= played.elapsed_s


def test_boxes_bear_their_micro_batch_and_panels_their_time_and_bubble():
    figure = plots.schedules(PANELS, "two", unit="slots")
    ax = figure.axes[0]
    words = [text.get_text() for text in ax.texts]
    assert sorted(words[:-1]) == sorted(str(span.micro) for span in PANELS["GPipe"].spans)
    assert words[-1] == "GPipe: 18 slots, bubble 33.3% of it"
    assert figure.axes[-1].get_xlabel() == "time (slots)"


def test_a_box_that_reaches_into_the_next_one_ends_where_that_begins():
    late = Played(1, (Span(0, "forward", 0, 0, 0.0, 1.2), Span(0, "forward", 0, 1, 1.0, 2.0)))
    (ax,) = plots.schedules({"paced": late}, "one node").axes
    (_, _, first), (_, second, _) = boxes(ax)
    assert 0.95 < first < second == 1.0


def test_many_micro_batches_leave_the_numbers_out():
    figure = plots.schedules({"all": play(with_messages(by_stage(gpipe, 2, 100)), 1, 2)}, "many")
    assert len(figure.axes[0].patches) == 400
    assert len(figure.axes[0].texts) < 200


def test_a_nodes_later_stages_are_paler_and_bytes_stand_on_the_right():
    played = play(with_messages(interleaved(2, 4, 2)), 0.5, 1)
    figure = plots.schedules({"v = 2": played}, "interleaved", kept={"v = 2": [3000, 1000]})
    lanes, bars = figure.axes
    pale = [to_hex(patch.get_facecolor()).upper() in LATER.values() for patch in lanes.patches]
    assert pale == [span.stage >= 2 for span in played.spans]
    assert [patch.get_width() for patch in bars.patches] == [3.0, 1.0]
    assert bars.get_xlabel() == "activations (kB)"


def test_forward_and_backward_have_colours_of_their_own_and_a_legend():
    figure = plots.schedules(PANELS, "two")
    (legend,) = figure.legends
    assert told(figure) == ["forward", "backward"], "the kinds that occur"
    assert [to_hex(patch.get_facecolor()).upper() for patch in legend.get_patches()] == [
        COLOURS["forward"], COLOURS["backward"],
    ]  # fmt: skip
    assert figure.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("letters", [5, 70, 85, 110])
def test_the_legend_stands_beside_a_headline_or_under_it_and_never_on_it(letters):
    figure = plots.schedules(PANELS, ("word " * 30)[:letters].rstrip())
    figure.draw_without_rendering()
    words, legend = figure.words.get_window_extent(), figure.legends[0].get_window_extent()
    assert not words.overlaps(legend)
    assert not any(legend.overlaps(ax.get_window_extent()) for ax in figure.axes)


def told(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_later_stages_and_both_parts_of_a_backward_are_named_where_they_occur():
    interleaving = plots.schedules({"v": play(with_messages(interleaved(2, 4, 2)), 0.5, 1)}, "interleaved")
    pale = [f"{kind}, a node's second stage" for kind in ("forward", "backward")]
    assert told(interleaving) == ["forward", "backward", *pale]
    parts = play(with_messages(by_stage(zero_bubble, 3, 4)), 1, 2)
    figure = plots.schedules({"zero bubble": parts}, "a backward in two")
    assert told(figure) == ["forward", "backward, by the input", "backward, by the weights"]
    colours = {to_hex(patch.get_facecolor()).upper() for patch in figure.axes[0].patches}
    assert colours == {COLOURS[kind] for kind in ("forward", "input", "weights")}


@pytest.mark.parametrize("panels", [{}, {"nothing": Played(2, ())}])
def test_nothing_to_draw_is_said(panels):
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.schedules(panels, "none")
