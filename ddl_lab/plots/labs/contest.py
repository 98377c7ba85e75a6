"""The figures of the contest: tries as seconds against money, and the card of one."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..canvas import Canvas

MOST_LINES = 28  # of the source, on a card


def tries(known: Sequence[Mapping[str, Any]], headline: str) -> Figure:
    """Draw each try as a dot, seconds to the right and cents upwards, both logarithmic, its name beside it.

    ``known``: name, seconds, money (dollars), reached and confirmed of each. Filled: it counts; a ring: it
    has reached the target, and is not confirmed; a cross: it hasn't reached it. The line joins those that
    no other try beats in both. Raises ``ValueError`` for nothing to draw.
    """
    if not known:
        raise ValueError("tries got nothing to draw: score a worker first, by task.score(worker).")
    from ..canvas import COLOURS, INK, Canvas, legend_beside

    canvas = Canvas(7.8, 4.0, headline.replace("$", r"\$"))
    (ax,) = canvas.row(1, right=1.9)
    kinds = {
        "counts": ("o", COLOURS[0], COLOURS[0]),
        "not confirmed": ("o", COLOURS[0], "none"),
        "not reached": ("X", COLOURS[1], COLOURS[1]),
    }
    for one in known:
        shape, edge, face = kinds[_kind(one)]
        ax.plot(one["seconds"], 100 * one["money"], shape, ms=8, mec=edge, mfc=face, mew=1.6, zorder=3)
    front = unbeaten([one for one in known if one.get("reached")])
    ax.step([one["seconds"] for one in front], [100 * one["money"] for one in front], where="post",
            color=INK, lw=1.2, ls="--", zorder=1)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="seconds (virtual)", ylabel="cents")
    _room(ax, known)
    _names(ax, known)
    for kind in dict.fromkeys(map(_kind, known)):
        shape, edge, face = kinds[kind]
        ax.plot([], [], shape, ms=8, mec=edge, mfc=face, mew=1.6, label=kind)
    if len(front) > 1:
        ax.plot([], [], color=INK, lw=1.2, ls="--", label="nobody beats\nthem in both")
    legend_beside(ax)
    return canvas


def unbeaten(known: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those than which no other is both faster and cheaper, the fastest first."""
    found: list[Mapping[str, Any]] = []
    for one in sorted(known, key=lambda one: (one["seconds"], one["money"])):
        if not found or one["money"] < found[-1]["money"]:
            found.append(one)
    return found


def _kind(one: Mapping[str, Any]) -> str:
    if not one.get("reached"):
        return "not reached"
    return "counts" if one.get("confirmed") else "not confirmed"


def _room(ax: Axes, known: Sequence[Mapping[str, Any]]) -> None:
    """Limits with room for names, and plain numbers at the ticks."""
    from matplotlib.ticker import LogLocator, NullLocator

    for axis, values in (
        (ax.xaxis, [k["seconds"] for k in known]),
        (ax.yaxis, [100 * k["money"] for k in known]),
    ):
        wide = max(values) / min(values) > 30
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if wide else (1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:.6g}")
    seconds, cents = [k["seconds"] for k in known], [100 * k["money"] for k in known]
    ax.set_xlim(min(seconds) / 1.6, max(seconds) * 2.6)
    ax.set_ylim(min(cents) / 1.8, max(cents) * 1.8)


def _names(ax: Axes, known: Sequence[Mapping[str, Any]]) -> None:
    """Each name beside its dot, where it lies least on dots and on other names."""
    from ..canvas import INK

    dots = [_inches(ax, one["seconds"], 100 * one["money"]) for one in known]
    taken = [(x - 0.07, y - 0.07, x + 0.07, y + 0.07) for x, y in dots]
    for one, (x, y) in zip(known, dots, strict=True):
        boxes = [_box(x + dx, y + dy, side, len(one["name"])) for dx, dy, side in _PLACES]
        best = min(range(len(boxes)), key=lambda place: sum(_overlap(boxes[place], other) for other in taken))
        taken.append(boxes[best])
        dx, dy, side = _PLACES[best]
        look: dict[str, Any] = {"ha": side, "va": "center", "color": INK, "fontsize": 9, "parse_math": False}
        at = (one["seconds"], 100 * one["money"])
        ax.annotate(one["name"], at, (72 * dx, 72 * dy), textcoords="offset points", **look)


# where a name may stand: inches from its dot, and which of its sides is there; the first is preferred
_PLACES = (
    *((0.1, 0.06, "left"), (-0.1, 0.06, "right"), (0.1, -0.08, "left"), (-0.1, -0.08, "right")),
    *((0.0, 0.19, "center"), (0.0, -0.19, "center"), (0.12, 0.22, "left"), (-0.12, -0.24, "right")),
    *((0.12, -0.24, "left"), (-0.12, 0.22, "right"), (0.2, 0.38, "left"), (0.2, -0.38, "left")),
)
_Box: TypeAlias = tuple[float, float, float, float]  # left, bottom, right, top


def _inches(ax: Axes, x: float, y: float) -> tuple[float, float]:
    """Where a point lies, from the lower left corner of the axes."""
    width, height = (float(side) / ax.figure.dpi for side in (ax.bbox.width, ax.bbox.height))
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    return width * math.log(x / left) / math.log(right / left), height * math.log(y / low) / math.log(
        high / low
    )


def _box(x: float, y: float, side: str, letters: int) -> _Box:
    width = 0.082 * letters
    left = x - {"left": 0.0, "center": width / 2, "right": width}[side]
    return left, y - 0.075, left + width, y + 0.075


def _overlap(one: _Box, other: _Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    outside = max(0.0, -one[0]) + max(0.0, -one[1])  # of the axes
    return max(0.0, wide) * max(0.0, high) + outside


def card(told: Mapping[str, Any], by_node: Sequence[float] = ()) -> Canvas:
    """Draw what an entry took, large, beside the first lines of its worker; on white, to be shared.

    ``told``: what a card holds: name, seed, seconds, money, source and so on. ``by_node``: seconds after
    which each rank had returned, drawn as a bar each.
    """
    from ..canvas import COLOURS, INK, Canvas, style

    where = f"contest {told['seed']}{', with failures' if told['failures'] else ''}"
    canvas = Canvas(9.0, 5.2, f"ddl_lab, {where}: {told['name']}".replace("$", r"\$"))
    canvas.set_facecolor("white")
    small: dict[str, Any] = {"fontsize": 9.5, "color": INK, "va": "top", "parse_math": False}
    big: dict[str, Any] = {"fontsize": 20, "color": COLOURS[0], "va": "top", "fontweight": "bold"}
    code: dict[str, Any] = {"fontsize": 7.6, "color": "#333333", "family": "monospace", "linespacing": 1.35}
    with style():
        for row, (what, words) in enumerate(_numbers(told)):
            canvas.text(0.025, 0.885 - 0.155 * row, what, **big)
            canvas.text(0.027, 0.815 - 0.155 * row, words, **small)
        sure = "" if told["confirmed"] else "not "
        canvas.text(0.027, 0.42, _wrapped(f"{sure}confirmed: {told['how']}", 52), **small)
        canvas.text(0.47, 0.89, "\n".join(_worker_lines(told["source"])), **small | code)
        canvas.text(0.47, 0.06, f"source {told['digest']}, whole in the JSON beside", **small)
        if by_node:
            ax = canvas.add_axes((0.07, 0.11, 0.33, 0.21))
            ax.bar(range(len(by_node)), by_node, 0.75, color=COLOURS[0])
            ax.set(xlabel="node, by rank", ylabel="seconds", xticks=range(len(by_node)))
            ax.grid(visible=False, axis="x")
    return canvas


def _numbers(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is large on a card, and the line below each."""
    node_seconds = f"{told['node_seconds']:.4g} node-seconds at 3 dollars an hour"
    digits = f"of 500 digits held out; {told['checked']:.1%} of those it could check"
    return [
        (f"{told['seconds']:.4g} s", f"until the last of {told['nodes']} nodes had returned"),
        (f"{100 * told['money']:.3g} cents", node_seconds),
        (f"{told['held_out']:.1%}", digits),
    ]


def _worker_lines(source: str) -> list[str]:
    """The worker, the last function of an entry, as far as it has room."""
    lines = source.rstrip().splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("def ")]
    shown = [line if len(line) <= 72 else f"{line[:71]}…" for line in lines[starts[-1] :]]
    if len(shown) <= MOST_LINES:
        return shown
    return [*shown[: MOST_LINES - 1], f"… and {len(shown) - MOST_LINES + 1} more lines"]


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
