"""plots.pictures: one picture a row, on light and dark pages; other shapes are refused in words."""

import pytest
import torch

from ddl_lab import plots


def test_each_row_becomes_a_picture_with_its_title_and_ink_is_dark() -> None:
    images = torch.zeros(2, 784)
    images[0, :28] = 1.0  # the top line
    figure = plots.pictures(images, ["line", "nothing"], "two pictures")
    assert [ax.get_title() for ax in figure.axes] == ["line", "nothing"]
    drawn = figure.axes[0].get_images()[0]
    grey = drawn.to_rgba(drawn.get_array())[..., 0]
    assert grey[0].max() == 0.0 and grey[1:].min() == 1.0


def test_the_figure_says_what_it_shows_and_has_a_clear_ground() -> None:
    figure = plots.pictures(torch.zeros(1, 784), [7], "one digit")
    assert repr(figure) == "<figure: one digit>"
    assert figure.get_facecolor()[3] == 0


@pytest.mark.parametrize("shape", [(784,), (0, 784), (17, 784), (3, 28, 28)])
def test_other_shapes_are_refused_with_shape_and_mend(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(n, 784\).*try digits\.train\.x") as refusal:
        plots.pictures(torch.zeros(shape), ["a"] * shape[0], "")
    assert str(shape) in str(refusal.value)


def test_every_image_needs_a_title() -> None:
    with pytest.raises(ValueError, match="3 images and 1 titles"):
        plots.pictures(torch.zeros(3, 784), ["a"], "")
