"""Who has which digits: dots by area, sizes above."""

import pytest
import torch

from ddl_lab.plots import who_has
from ddl_lab.training.data import load_digits
from ddl_lab.training.parts import share_out
from ddl_lab.training.shards import poisson_batches

TRAIN = load_digits(classes=10).train


def test_each_dot_s_area_is_the_count_of_a_part_and_a_label_and_bars_are_sizes():
    parts = share_out(TRAIN, 5, alpha=0.3, sizes=[10, 20, 30, 40, 50])
    figure = who_has(parts, "five clients", x="client")
    sums, dots = figure.axes
    assert [bar.get_height() for bar in sums.patches] == [10, 20, 30, 40, 50]
    (drawn,) = dots.collections
    counts = {(c, d): int((part.labels == d).sum()) for c, part in enumerate(parts) for d in range(10)}
    counts = {place: count for place, count in counts.items() if count}
    digits = [int(tick.get_text()) for tick in dots.get_yticklabels()]
    assert digits == list(range(min(digits), max(digits) + 1))  # one that nobody has keeps its row
    places = [(int(part), digits[int(row)]) for part, row in drawn.get_offsets()]
    assert set(places) == set(counts)
    ratios = {area / counts[place] for place, area in zip(places, drawn.get_sizes(), strict=True)}
    assert max(ratios) == pytest.approx(min(ratios))
    assert dots.get_xlabel() == "client" and figure.headline == "five clients"


def test_batches_are_drawn_by_their_labels():
    figure = who_has([y for _, y in poisson_batches(TRAIN, None, 0.01, 8)], "eight batches", x="batch")
    assert len(figure.axes[0].patches) == 8 and figure.png()


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], "draws 1 to 100 parts, it got 0"),
        ([TRAIN] * 101, "it got 101"),
        ([load_digits().train.y], r"part 0 is float32 of shape \(4000, 1\), expected labels"),
        ([torch.zeros(0).long()], "all parts are empty"),
    ],
)
def test_what_can_not_be_drawn_is_refused(parts, told):
    with pytest.raises(ValueError, match=told):
        who_has(parts, "nothing")
