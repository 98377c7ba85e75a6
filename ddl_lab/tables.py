"""Small tables that notebooks draw: plain HTML, whose colours are the page's, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A table with ``title`` above it, one row a sequence of cells, and ``note`` below it."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    below = f"<p>{escape(note)}</p>" if note else ""
    return f"<table><caption>{escape(title)}</caption><tbody>{body}</tbody></table>{below}"


def _cell(content: object) -> str:
    return f'<td style="text-align:left">{escape(str(content))}</td>'


def in_words(amount: float, unit: str) -> str:
    """An amount with a prefix that fits: "50 µs", "1 GB/s", "10,000 samples/s"."""
    scales: tuple[tuple[float, str], ...]
    if unit == "s":
        scales = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    elif unit.startswith(("B", "FLOP")):
        scales = ((1e12, f"T{unit}"), (1e9, f"G{unit}"), (1e6, f"M{unit}"), (1e3, f"k{unit}"), (1.0, unit))
    else:
        return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"
    scale, name = next((s for s in scales if amount >= s[0]), scales[-1] if amount else (1.0, unit))
    return f"{amount / scale:.3g} {name}"
