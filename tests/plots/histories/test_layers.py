"""Moving artists over a picture that is kept: the same pixels, drawn once."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from ddl_lab.plots.canvas import Canvas
from ddl_lab.plots.histories.layers import Layers


@pytest.fixture
def parts():
    canvas = Canvas(3.0, 2.0, "told")
    (ax,) = canvas.row(1)
    (line,) = ax.plot([0, 1], [0, 1], animated=True)
    return Layers(canvas), ax, line


def test_the_picture_is_that_of_the_whole_canvas(parts):
    layers, _, line = parts
    found = layers.pixels("one", [line]).copy()
    for artist in (line, layers._canvas.words):
        artist.set_animated(False)
    np.testing.assert_array_equal(found, layers._canvas.pixels())


def test_only_the_moving_artists_are_drawn_again_while_the_state_is_the_same(parts, monkeypatch):
    layers, ax, line = parts
    first = layers.pixels("one", [line]).copy()
    drawn, draw = [], Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda axes, renderer: (drawn.append(axes), draw(axes, renderer)))
    line.set_ydata([1, 0])
    moved = layers.pixels("one", [line]).copy()
    assert not drawn and (moved != first).any()
    line.set_ydata([0, 1])
    np.testing.assert_array_equal(layers.pixels("one", [line]), first)
    layers.pixels("another", [line])
    assert drawn == [ax]
