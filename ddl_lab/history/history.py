"""``History``: what happened in a run, the same tables from both engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..counted import counted
from . import archive, critical, trace
from .attempts import Attempt
from .recorder import KINDS, Recorder
from .spans import Spans, spans_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# plots/ stands on a higher floor: it enters its figures here when it is imported.
PLOTTERS: dict[str, Callable[..., Figure]] = {}


@dataclass
class History:
    """What a run recorded. Times are seconds since the workers started together.

    ``clock`` is "wall" (real processes), "paced" (real processes slowed to a cluster's model) or "virtual"
    (simulated). While a run goes on its history grows.
    """

    clock: str
    recorders: Sequence[Recorder]
    results: list[Any] = field(default_factory=list)  # by rank: what the worker returned
    finished_s: dict[int, float] = field(default_factory=dict)  # by rank: when the worker ended
    about: dict[str, Any] = field(default_factory=dict)  # engine, transport, cluster: for titles
    startup_s: float = 0.0  # wall seconds from the call to the workers' common start
    failed_s: float | None = None  # when a worker failed, which ended the run
    attempts: list[Attempt] = field(default_factory=list)  # of ``keep_going``: the one that finished is last

    def __post_init__(self) -> None:
        self._tables: dict[str, tuple[int, Any]] = {}
        for recorder in self.recorders if self.attempts else ():
            recorder.failures_s = tuple(attempt.at_s for attempt in self.attempts[:-1])

    def __repr__(self) -> str:
        rows = sum(r.steps for r in self.recorders)
        return (
            f"<History: {counted(self.nodes, 'node')}, {self.elapsed_s:.3g} s on the {self.clock} clock, "
            f"{counted(rows, 'metric row')}, {counted(sum(self.bytes_sent), 'byte')} sent>"
        )

    @property
    def nodes(self) -> int:
        """How many nodes took part."""
        return len(self.recorders)

    @property
    def bytes_sent(self) -> list[int]:
        """Bytes each rank sent, by rank; collectives count by their algorithm's formula."""
        return [r.bytes_sent for r in self.recorders]

    @property
    def messages_sent(self) -> list[int]:
        """Messages each rank sent, by rank; collectives count by their algorithm's formula."""
        return [r.messages_sent for r in self.recorders]

    @property
    def samples(self) -> list[float]:
        """Samples each rank computed, by rank, as ``node.compute(samples=…)`` told.

        NaN in a history that was saved before they were counted.
        """
        return [int(r.samples) if float(r.samples).is_integer() else r.samples for r in self.recorders]

    @property
    def samples_per_s(self) -> float:
        """Samples of all ranks by second of the run's clock; 0 before anything has happened."""
        return sum(self.samples) / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def missed_s(self) -> list[float]:
        """Of a paced run, by rank: seconds that this machine took beyond the pace, and didn't make up.

        Known once a rank has ended; 0 on the other clocks, and where its process was ended.
        """
        return [r.missed_s for r in self.recorders]

    @property
    def elapsed_s(self) -> float:
        """Seconds from the common start to the end of the last worker, or to the failure that ended the run.

        While it runs: so far.
        """
        if self.failed_s is not None:
            return self.failed_s
        ends = [0.0, *self.finished_s.values()]
        if len(self.finished_s) < self.nodes:
            arrays = [r.span_array()["end_s"] for r in self.recorders]
            arrays += [rows["time_s"] for r in self.recorders for rows in r.row_arrays().values()]
            ends += [float(times.max()) for times in arrays if len(times)]
        return max(ends)

    def fail(self, at_s: float) -> None:
        """A worker failed at ``at_s``: the run ends there, whatever others did before they knew."""
        self.failed_s = at_s
        for recorder in self.recorders:
            recorder.cut(at_s)
        for rank in [rank for rank, end_s in self.finished_s.items() if end_s > at_s]:
            del self.finished_s[rank]
            self.results[rank] = None

    def _table(self, name: str, build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """``build()``, or the last one where nothing was recorded since."""
        size = sum(r.size for r in self.recorders) + len(self.finished_s)
        known = self._tables.get(name)
        if known is None or known[0] != size:
            self._tables[name] = known = (size, build())
        table: pd.DataFrame = known[1]
        return table

    @property
    def metrics(self) -> pd.DataFrame:
        """Columns rank, time_s, step and one a metric (NaN where a row lacks it); by rank, step."""
        return self._table("metrics", self._metrics)

    def _metrics(self) -> pd.DataFrame:
        import pandas as pd

        parts = []
        for rank, recorder in enumerate(self.recorders):
            for rows in recorder.row_arrays().values():
                part = pd.DataFrame(rows).astype({"step": np.int64})
                part.insert(0, "rank", rank)
                parts.append(part)
        if not parts:
            return pd.DataFrame({"rank": [], "time_s": [], "step": []}).astype({"rank": int, "step": int})
        table = pd.concat(parts, ignore_index=True).sort_values(["rank", "step"], ignore_index=True)
        names = [c for c in table.columns if c not in ("rank", "time_s", "step")]
        return table[["rank", "time_s", "step", *names]]

    @property
    def spans(self) -> pd.DataFrame:
        """Columns rank, kind, start_s, end_s, peer (-1: none), bytes, label; by rank, start."""
        return self._table("spans", self._spans)

    def _spans(self) -> pd.DataFrame:
        import pandas as pd

        parts = []
        for rank, recorder in enumerate(self.recorders):
            rows, labels = recorder.span_array(), np.array(recorder.labels, dtype=object)
            part = {
                "rank": np.full(len(rows), rank),
                "kind": np.array(KINDS, dtype=object)[rows["kind"]],
            }
            part |= {name: rows[name] for name in ("start_s", "end_s", "peer", "bytes")}
            parts.append(pd.DataFrame(part | {"label": labels[rows["label"]]}))
        table = pd.concat(parts, ignore_index=True)
        return table.sort_values(["rank", "start_s", "end_s"], kind="stable", ignore_index=True)

    def critical_path(self) -> pd.DataFrame:
        """The spans that bound the run, as a table like ``spans``, in order of time.

        Walked back from the last end: a collective leads to the rank that entered it last, a message to
        its sender, or to its receiver where that came later. The parts join end to end and add up to
        ``elapsed_s``; "other" is time outside all spans.
        """
        return self._table("critical_path", lambda: critical.path_table(*self._path()))

    def shares(self) -> pd.DataFrame:
        """Shares of ``elapsed_s`` in compute, communicate, wait and other: by rank, and "critical path".

        Each row adds up to 1. "other" is time outside all spans, and after a rank's end; a message that
        moves beside other work does not count.
        """
        return self._table("shares", lambda: critical.share_table(*self._path(), self.elapsed_s))

    def _path(self) -> tuple[Spans, list[critical.Part]]:
        spans = spans_of(self.recorders)
        return spans, critical.critical_parts(spans, self.clock, self.finished_s, self.elapsed_s)

    def plot_timeline(self, **options: Any) -> Figure:
        """Who computed, sent and waited, when: see ``plots.timeline``."""
        return _plot("timeline", self, **options)

    def plot_metric(self, name: str = "loss", **options: Any) -> Figure:
        """A metric against time and against steps: see ``plots.metric``."""
        return _plot("metric", self, name, **options)

    def save(self, path: str | Path) -> Path:
        """Write everything to one .npz file, without pickles; returns the file's path.

        Results made of None, numbers, text, bytes, tensors of any layout, NumPy arrays and lists, tuples,
        dicts of those are kept; a warning names the others. The file is read back before it is put in
        place. A full disk raises ``OSError`` and leaves no half-written file.
        """
        recorders = [r.drained() for r in self.recorders]
        about = {"clock": self.clock, "startup_s": self.startup_s, "about": self.about}
        about["finished_s"] = {str(rank): end for rank, end in self.finished_s.items()}
        about |= {"failed_s": self.failed_s, "attempts": self.attempts}
        return archive.write(Path(path), about, recorders, self.results)

    def save_trace(self, path: str | Path) -> Path:
        """Write a Chrome trace (JSON) that opens in Perfetto, ui.perfetto.dev; returns the file's path.

        Ranks are processes, spans slices, messages arrows, metrics counters; the hands' marks are instants.
        ``.json`` is added where the name has no ending. Raises ``OSError`` for a bad path or a full disk,
        and leaves no half-written file.
        """
        return trace.write_trace(Path(path), self.recorders, self.clock, self.about)

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what ``save`` wrote; nothing in the file is ever executed.

        Raises ``FileNotFoundError``, or ``ValueError`` where the file is no saved history.
        """
        about, packets, results = archive.read(Path(path))
        recorders = []
        for packet in packets:
            recorder = Recorder()
            recorder.absorb(packet)
            recorders.append(recorder)
        ends = {int(rank): end for rank, end in about["finished_s"].items()}
        attempts = [Attempt(*told) for told in about.get("attempts", ())]
        known = about["about"], about["startup_s"], about.get("failed_s"), attempts
        return cls(about["clock"], recorders, results, ends, *known)


def _plot(name: str, *args: Any, **options: Any) -> Figure:
    if name not in PLOTTERS:
        raise RuntimeError(f"no plot named {name!r} is loaded: import ddl_lab before plotting")
    return PLOTTERS[name](*args, **options)
