"""Every figure of the course: takes what a run recorded, returns a matplotlib Figure.

Each title says on which clock it was measured. matplotlib is imported by the first plot, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import lanes
from .curves import Curve, CurveFigure, curve, metric_names
from .history import PLOTTERS, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLOCKS = {"virtual": "virtual clock", "wall": "wall clock", "paced": "paced clock"}
_AGAINST = ("both", "time", "steps")


def described(history: History) -> str:
    """Who ran, and on which clock: "4 simulated nodes, virtual clock"."""
    return f"{history.nodes} {_kind(history, history.nodes)}, {clock_of(history)}"


def clock_of(history: History) -> str:
    """The clock's name as plots say it: "wall clock"."""
    return _CLOCKS.get(history.clock, f"{history.clock} clock")


def _kind(history: History, nodes: int) -> str:
    plural = "" if nodes == 1 else "s"
    if history.clock == "virtual":
        return f"simulated node{plural}"
    transport = history.about.get("transport")
    return f"process{plural and 'es'}" + (f" over {transport}" if transport else "")


def metric(
    history: History | Mapping[str, History],
    name: str = "loss",
    *,
    against: str = "both",
    label: str | None = None,
) -> Figure:
    """The metric ``name`` against time beside steps: the mean over ranks, and a band from lowest to highest.

    ``history``: one History, or several by label, for one curve each. ``against``: "both", "time" or "steps".
    Against time, ranks that step at times of their own count with their newest value.
    Raises ``ValueError`` for a metric that nobody recorded, naming those there are.
    """
    if against not in _AGAINST:
        raise ValueError(f"metric(against={against!r}): choose one of {', '.join(_AGAINST)}.")
    by_label = _by_label(history, label)
    curves = {key: _curve(run, name, key) for key, run in by_label.items()}
    from .canvas import COLOURS, Canvas

    runs = list(by_label.values())
    named = len(runs) > 1 or label is not None
    canvas = Canvas(7.6 if against == "both" or named else 5.0, 3.1)
    figure = CurveFigure(canvas, name, _shared(map(clock_of, runs)), against, named)
    for place, (key, found) in enumerate(curves.items()):
        figure.draw(_legend_text(key, by_label), found, COLOURS[place % len(COLOURS)])
    canvas.head(f"{name}: {_who(runs)}{band_note(runs)}")
    return canvas


def band_note(runs: list[History]) -> str:
    """What line and band are, where there are several ranks."""
    return "; mean over ranks, band: lowest to highest" if any(r.nodes > 1 for r in runs) else ""


def _by_label(history: Any, label: str | None) -> dict[str, History]:
    found = dict(history) if isinstance(history, Mapping) else {label or "": history}
    for run in found.values():
        if not isinstance(run, History):
            raise TypeError(
                f"metric takes a History, or several by label, and got {run!r:.60}: pass what run or "
                "simulate returned."
            )
    if not found:
        raise ValueError("metric got no history: give at least one, as in {'4 nodes': history}.")
    return found


def _curve(history: History, name: str, label: str) -> Curve:
    found = curve(history, name)
    if found is not None:
        return found
    of = f" of {label!r}" if label else ""
    known = metric_names(history)
    if not known:
        raise ValueError(
            f"the history{of} has no metrics: call node.record({name}=…) in the worker, once a step."
        )
    raise ValueError(f"no metric {name!r} in the history{of}; it has {', '.join(known)}.")


def _who(runs: list[History]) -> str:
    """One description for all runs, as exact as they have in common."""
    words = {described(run) for run in runs}
    if len(words) == 1:
        return words.pop()
    kinds = {_kind(run, 2) for run in runs}
    kinds = kinds if len(kinds) == 1 else {kind.split(" over")[0] for kind in kinds}
    return f"{' and '.join(sorted(kinds))}, {_shared(map(clock_of, runs))}"


def _shared(names: Any) -> str:
    return " and ".join(dict.fromkeys(names))


def _legend_text(label: str, by_label: dict[str, History]) -> str:
    """``label``, with its clock where the figure shows several."""
    clocks = {run.clock for run in by_label.values()}
    return label if len(clocks) == 1 else f"{label}\n({clock_of(by_label[label])})"


def timeline(history: History, *, seconds: Any = None, steps: Any = None) -> Figure:
    """Who computed, communicated and waited, when: one lane a rank, for up to 32 ranks.

    ``steps`` or ``seconds``: what to show, an end or (start, end): ``steps=10``, ``seconds=(0.2, 0.3)``. Unless told,
    all, or the first ten steps of a long run. A message that moves while its node does something else is drawn in the
    lower part of the lane. Raises ``ValueError`` for more ranks, a bad window, and a history without spans.
    """
    lanes.check_window(seconds, steps)
    if history.nodes > lanes.MOST_LANES:
        raise ValueError(
            f"timeline shows up to {lanes.MOST_LANES} ranks, and this history has {history.nodes}: run fewer "
            "nodes to look at their lanes."
        )
    found = lanes.lanes_of(history)
    if not len(found.rank):
        raise ValueError(
            "this history has no spans: put arithmetic in `with node.compute(samples=…):`."
        )
    start, end, part = lanes.window(history, found, seconds, steps)
    found = found.within(start, end)
    from .canvas import Canvas

    factor, unit = lanes.unit_for(end - start)
    canvas = Canvas(7.6, 1.3 + 0.28 * max(history.nodes, 2))
    ax = lanes.draw_lanes(canvas, found, history.nodes, factor)
    ax.set_xlim(start * factor, end * factor)
    ax.set_xlabel(f"{unit} ({clock_of(history)})")
    _timeline_legend(ax, bool(found.behind.any()))
    canvas.head(f"timeline: {described(history)}{part and ', '}{part}")
    return canvas


def _timeline_legend(ax: Axes, behind: bool) -> None:
    from matplotlib.patches import Patch

    from .canvas import style

    names = dict.fromkeys(lanes.WORK, "")
    names["communicate"] = " (half height: in the background)" if behind else ""
    bars = [Patch(facecolor=lanes.WORK[name], label=name + note) for name, note in names.items()]
    with style():
        ax.legend(
            handles=bars,
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.97),
            ncols=3,
            handlelength=1.2,
        )


def speedup(rates: Mapping[Any, Any], *, label: str | None = None, clock: str = "wall") -> Figure:
    """How many times one node's rate each node count reaches, as bars, beside the ideal.

    ``rates``: samples/s by number of nodes, ``{1: 900.0, 2: 1400.0}``, or several of these by label. The smallest number
    of nodes is the measure: it counts as itself. ``clock``: "wall", "paced" or "virtual", where they were measured.
    Raises ``ValueError`` for rates that are no finite numbers above 0.
    """
    if clock not in _CLOCKS:
        raise ValueError(f"speedup(clock={clock!r}): choose one of {', '.join(_CLOCKS)}.")
    nested = all(isinstance(value, Mapping) for value in rates.values()) and bool(rates)
    by_label = dict(rates) if nested else {label or "": rates}
    for key, row in by_label.items():
        _check_rates(key, row)
    from .bars import draw_speedup

    return draw_speedup(by_label, f"speed-up in samples/s, {_CLOCKS[clock]}", nested or bool(label))


def _check_rates(label: str, row: Mapping[Any, Any]) -> None:
    of = f" of {label!r}" if label else ""
    if not row:
        raise ValueError(f"speedup got no rates{of}: give samples/s by nodes, as in {{1: 900.0}}.")
    for nodes, rate in row.items():
        if not isinstance(nodes, int) or nodes < 1:
            raise ValueError(f"speedup: {nodes!r}{of} is no number of nodes: use 1, 2, 4, …")
        if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
            raise ValueError(f"speedup: {nodes} nodes{of} have {rate!r}: give samples/s above 0.")


PLOTTERS["metric"] = metric
PLOTTERS["timeline"] = timeline
