"""Stacked bars: as long as their parts together, in one colour a part, pale where they are out."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ddl_lab import plots

ROWS = {"8 × 1": {"compute": 1.0, "data": 0.5}, "4 × 2": {"compute": 1.0, "data": 0.25}}


def drawn(**options):
    figure = plots.stacked(ROWS, "two meshes", x="seconds", y="mesh", **options)
    return figure, figure.axes[0]


def test_a_bar_is_its_parts_end_to_end():
    _, ax = drawn()
    spans = [(bar.get_x(), bar.get_width(), round(bar.get_y() + 0.35)) for bar in ax.patches]
    assert spans == [(0, 1.0, 0), (1.0, 0.5, 0), (0, 1.0, 1), (1.0, 0.25, 1)]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(ROWS)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds", "mesh")
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top


def test_a_part_has_one_colour_and_the_legend_names_it():
    figure, ax = drawn()
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1] == colours[3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["compute", "data"]


def test_faint_bars_are_pale_and_notes_stand_behind_their_bar():
    _, ax = drawn(faint=["4 × 2"], notes={"8 × 1": "32 GB"})
    assert [bar.get_alpha() for bar in ax.patches] == [1.0, 1.0, 0.3, 0.3]
    (note,) = [text for text in ax.texts if text.get_text()]
    assert note.get_text() == "32 GB" and note.xy == (1.5, 0)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ({}, {}, "stacked got no bar"),
        ({"a": {"x": 1}, "b": {"y": 1}}, {}, "'b' has the parts"),
        (ROWS, {"faint": ["c"]}, "no bar is called c"),
        (ROWS, {"notes": {"d": "?"}}, "no bar is called d"),
    ],
)
def test_what_can_t_be_drawn_is_an_error(rows, options, words):
    with pytest.raises(ValueError, match=words):
        plots.stacked(rows, "none", x="seconds", **options)


def test_long_names_and_the_axis_have_room():
    rows = {
        f"{name} × 1 × 1 + HSDP 8": parts for name, parts in zip(("32", "16"), ROWS.values(), strict=True)
    }
    figure = plots.stacked(rows, "two", x="seconds", y="data × pipeline × tensor")
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    assert min(label.get_window_extent().x0 for label in (*ax.get_yticklabels(), ax.yaxis.label)) > 0
