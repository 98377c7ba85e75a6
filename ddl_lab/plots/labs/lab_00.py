"""A row of the data's own pictures, with a word above each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

MOST = 16


def pictures(images: torch.Tensor, titles: Sequence[Any], headline: str) -> Figure:
    """Draw each row of ``images`` (n, 784), up to 16 of them, as 28 × 28 grey values: 1 is ink.

    ``titles``: n words or numbers, one above each; ``headline`` says what the row shows. Raises
    ``ValueError`` for images of another shape, more of them, or another number of titles.
    """
    if images.dim() != 2 or images.shape[1] != 784 or not 1 <= len(images) <= MOST:
        raise ValueError(
            f"pictures takes images of shape (n, 784), n from 1 to {MOST}; it got "
            f"{tuple(images.shape)}: try digits.train.x[:10]."
        )
    if len(titles) != len(images):
        raise ValueError(f"pictures got {len(images)} images and {len(titles)} titles: one each.")
    from ..canvas import INK, Canvas

    width, columns = 7.6, max(len(images), 8)
    height = 0.62 + (width - 0.24) / columns
    canvas = Canvas(width, height, headline)
    margins = {"left": 0.12 / width, "right": 1 - 0.12 / width, "bottom": 0, "wspace": 0.08}
    grid = canvas.add_gridspec(1, columns, top=1 - 0.55 / height, **margins)
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        ax = canvas.add_subplot(grid[0, place])
        ax.imshow(image.reshape(28, 28).tolist(), cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(str(title), fontsize=9.5, color=INK)
        ax.set_axis_off()
    return canvas
