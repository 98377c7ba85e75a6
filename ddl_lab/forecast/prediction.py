"""``predict``: how long a worker would take by the cost model, to be set beside a real run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..cluster.model import Cluster
from ..counted import counted
from ..history.history import History
from ..tables import html_table, in_words
from ..virtual.simulation import simulate
from .calibration import MeasuredCluster


@dataclass(frozen=True)
class Forecast:
    """What ``predict`` returns."""

    elapsed_s: float
    """Predicted seconds from the common start to the end of the last worker."""
    note: str
    """How far the prediction reaches."""
    history: History = field(repr=False)
    """Of the simulation."""
    refusal: str = ""
    """Why the number should not be believed; empty where nothing speaks against it."""

    def against(self, history: History) -> Comparison:
        """Set it beside a real run of the same worker; ``ValueError`` for other nodes, or no real run."""
        if history.clock == "virtual":
            raise ValueError("against() takes the history of a real run; this one is simulated as well.")
        if history.nodes != self.history.nodes:
            raise ValueError(
                f"against() got a run of {counted(history.nodes, 'node')}, and {self.history.nodes} were "
                "predicted: predict as many as you run."
            )
        return Comparison(self.elapsed_s, history.elapsed_s, history.clock, self.note, self.refusal)

    def _repr_html_(self) -> str:
        nodes, told = counted(self.history.nodes, "node"), in_words(self.elapsed_s, "s")
        return html_table("Predicted", [(nodes, "refused" if self.refusal else told)], self.note)


@dataclass(frozen=True)
class Comparison:
    """A prediction beside a run: ``ratio`` is measured over predicted, 1 where they agree."""

    predicted_s: float
    measured_s: float
    clock: str
    """Of the run: "wall", or "paced"."""
    note: str
    refusal: str = ""
    """Of the prediction: the ratio is told all the same, and says nothing."""

    @property
    def ratio(self) -> float:
        """Measured over predicted seconds; infinite where nothing was predicted to take time."""
        return self.measured_s / self.predicted_s if self.predicted_s else float("inf")

    def _repr_html_(self) -> str:
        rows = [
            ("predicted", in_words(self.predicted_s, "s") + ", refused" * bool(self.refusal)),
            (f"measured, {self.clock} clock", in_words(self.measured_s, "s")),
            ("measured / predicted", f"{self.ratio:.2f}"),
        ]
        return html_table("Predicted and measured", rows, self.note)


def predict(worker: Callable[..., Any], nodes: int, cluster: Cluster, args: Sequence[Any] = ()) -> Forecast:
    """How long ``worker(node, *args)`` would take on ``nodes`` nodes of ``cluster``, by simulating it.

    With ``Cluster.measure()`` it predicts ``run`` on this machine; with a described cluster
    ``run(…, cluster=cluster)``, which keeps that cluster's pace. Only what stands in ``node.compute`` and
    what the nodes send takes time in the model. The first steps of a fresh process take tens of milliseconds
    longer than that: predict runs of a second and more. Where the machine was too busy to be measured, or has
    fewer cores than ``nodes``, ``.refusal`` says so in a sentence. Raises what ``simulate`` raises.
    """
    history = simulate(worker, nodes, cluster=cluster, args=args)
    refusal = _refusal(cluster, history.nodes)
    return Forecast(history.elapsed_s, refusal or _reach(cluster), history, refusal)


def _refusal(cluster: Cluster, nodes: int) -> str:
    """Why a prediction for ``nodes`` nodes would be worth nothing, or nothing."""
    if not isinstance(cluster, MeasuredCluster):
        return ""
    if nodes > cluster.cores:
        have = counted(cluster.cores, "core")
        return (
            f"The model gives each node a core of its own, and {nodes} nodes share {have} here: it does not "
            "hold, expect more time."
        )
    return cluster.refusal


def _reach(cluster: Cluster) -> str:
    """How far a prediction reaches."""
    if not isinstance(cluster, MeasuredCluster):
        return "A described cluster: real processes keep its pace with run(…, cluster=cluster)."
    return f"Measured over {cluster.transport}, with the article's network at 64 samples a step."
