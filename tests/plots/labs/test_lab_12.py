"""Seeds side by side: a row a way, a dot a seed, and a stroke at the median."""

import pytest

from ddl_lab.plots.labs import lab_12 as figures

ROWS = {"FedAvg": [80.0, 84.0, 81.0], "SCAFFOLD": (value for value in (88.0, 90.5))}


def test_each_way_has_a_row_its_seeds_and_their_median():
    figure = figures.seeds(ROWS, "two ways", x="accuracy, %")
    (ax,) = figure.axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["FedAvg", "SCAFFOLD"]
    dots, strokes = (
        [list(line.get_xdata()) for line in ax.lines if line.get_marker() == mark] for mark in ("o", "|")
    )
    assert dots == [[80.0, 84.0, 81.0], [88.0, 90.5]] and strokes == [[81.0], [89.25]]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    assert ax.get_xlabel() == "accuracy, %" and figure.headline == "two ways"


@pytest.mark.parametrize(
    ("rows", "words"), [({}, "seeds got no row"), ({"FedAvg": []}, "'FedAvg' has no number")]
)
def test_what_can_t_be_drawn_is_an_error(rows, words):
    with pytest.raises(ValueError, match=words):
        figures.seeds(rows, "none", x="accuracy")
