"""docs/slider.gif, the picture of README: the explorer of lab 00 going from 1 node to 64, as it was pressed.

.venv/bin/python -m tools.book.front
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .press import ROOT, pressed

WIDTH, BAR = 760, 56
GREY, INK, BLUE = "#b5b5b5", "#333333", "#0072b2"
HOLD_MS = 1400  # a picture


def frames(folder: Path) -> list[Image.Image]:
    """A picture for each number of nodes, a slider above it."""
    (told,) = json.loads((folder / "pressed.json").read_text(encoding="utf-8")).values()
    values = told["controls"][0]["values"]
    shown = [told["pictures"][str(place)] for place in range(len(values))]
    return [_frame(folder / one["src"], place, values) for place, one in enumerate(shown)]


def _frame(path: Path, place: int, values: list[str]) -> Image.Image:
    with Image.open(path) as image:
        figure = image.convert("RGBA")
    figure = figure.resize((WIDTH, round(figure.height * WIDTH / figure.width)), Image.Resampling.LANCZOS)
    frame = Image.new("RGBA", (WIDTH, figure.height + BAR), "white")
    frame.paste(figure, (0, BAR), figure)
    draw, font = ImageDraw.Draw(frame), ImageFont.load_default(18)
    left, right, middle = 110, 560, BAR // 2
    at = left + (right - left) * place / (len(values) - 1)
    draw.text((30, middle), "nodes", INK, font, anchor="lm")
    draw.line((left, middle, right, middle), GREY, 4)
    draw.ellipse((at - 9, middle - 9, at + 9, middle + 9), BLUE)
    draw.text((right + 30, middle), values[place], INK, font, anchor="lm")
    return frame.convert("RGB").quantize(96, dither=Image.Dither.NONE)


def main() -> int:
    """Write the picture; 1 where it is too large for a front page."""
    (lab,) = (ROOT / "labs").glob("00_*.ipynb")
    first, *rest = frames(pressed(lab, ROOT / "build" / "book-pictures"))
    target = ROOT / "docs" / "slider.gif"
    first.save(target, save_all=True, append_images=rest, duration=HOLD_MS, loop=0, optimize=True)
    print(f"{target.name}: {1 + len(rest)} pictures, {target.stat().st_size:,} bytes")
    return int(target.stat().st_size > 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
