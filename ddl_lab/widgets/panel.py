"""An explorer's controls: the nodes, the worker's arguments, the cluster; and its buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..cluster.model import Cluster
from ..travel.checks import check_cluster, check_nodes
from ..virtual.simulation import MOST_NODES
from .controls import Control, Slider, Stops, check_controls
from .settings import Arguments, Setting, Worker, with_cluster

CLUSTER = ("latency_us", "bandwidth_mb_per_s", "slowest")


def node_choices(nodes: int, most: int) -> list[int]:
    """1, 2, 4, … up to ``most``, and the two numbers themselves."""
    most = max(nodes, check_nodes(most, MOST_NODES))
    return sorted({2**k for k in range(most.bit_length())} | {nodes, most})


def _node_control(nodes: Any, most: Any) -> Control:
    asked = nodes
    if isinstance(nodes, list | tuple):
        check_controls("explore", {"nodes": nodes})
        choices = [check_nodes(count, MOST_NODES) for count in nodes]
        asked = Stops(tuple(sorted(set(choices))), choices[0])
    elif not isinstance(nodes, Slider):
        start = check_nodes(nodes, MOST_NODES)
        asked = Stops(tuple(node_choices(start, most)), start)
    return Control("nodes", asked, tip="number of simulated nodes: left and right arrow keys move it")


def _cluster_controls(cluster: Cluster) -> list[Control]:
    latency, bandwidth = cluster.latency_s * 1e6, cluster.bandwidth_bytes_per_s / 1e6
    least, most = min(1.0, latency or 1.0), max(1e4, latency)
    narrow, wide = min(1.0, bandwidth), max(1e5, bandwidth)
    sliders = {
        "latency_us": Slider(least, most, latency or least, log=True, unit="µs"),
        "bandwidth_mb_per_s": Slider(narrow, wide, bandwidth, log=True, unit="MB/s"),
        "slowest": Slider(1.0, 10.0, 1.0, step=0.5, unit="× slower"),
    }
    names = ("latency", "bandwidth", "last node")
    return [Control(key, told, name) for (key, told), name in zip(sliders.items(), names, strict=True)]


class Panel:
    """What the reader moves, and the setting that it makes."""

    def __init__(
        self,
        worker: Worker,
        nodes: Any,
        most: Any,
        cluster: Cluster,
        args: Sequence[Any],
        controls: Mapping[str, Any],
        show_cluster: bool,
    ) -> None:
        import ipywidgets

        check_controls("explore", controls)
        self.nodes = _node_control(nodes, most)
        self._worker, self._cluster = worker, check_cluster(cluster, int(self.nodes.value))
        self.of_worker = [Control(name, asked) for name, asked in controls.items()]
        self.of_cluster = _cluster_controls(cluster)
        self._arguments = Arguments(worker, args, {c.name: c.value for c in self.of_worker})
        self._starts = {c.name: c.value for c in self.all}
        self.toggle = ipywidgets.ToggleButton(
            value=show_cluster, description="cluster …", tooltip="show or hide the cluster's controls"
        )
        self.toggle.layout.width = "auto"
        self.cluster_rows = ipywidgets.VBox([c.widget for c in self.of_cluster])
        self.toggle.observe(self._show_cluster, "value")
        self._show_cluster()
        self._quiet = False

    @property
    def all(self) -> list[Control]:
        """Every control."""
        return [self.nodes, *self.of_worker, *self.of_cluster]

    @property
    def rows(self) -> list[Any]:
        """What to display, from the top."""
        return [self.nodes.widget, *(c.widget for c in self.of_worker), self.cluster_rows]

    def setting(self) -> Setting:
        """Where the controls stand. Raises ``ValueError`` where the cluster can't be so."""
        nodes = int(self.nodes.value)
        values = {c.name: c.value for c in self.of_worker}
        moved = {c.name: c.value for c in self.of_cluster if c.value != self._starts[c.name]}
        changed = [
            f"{c.label} {c.text}"
            for c in (*self.of_worker, *self.of_cluster)
            if c.value != self._starts[c.name]
        ]
        cluster = with_cluster(self._cluster, nodes, moved)
        return Setting(self._worker, nodes, self._arguments.filled(values), cluster, tuple(changed))

    def beside(self) -> Setting | None:
        """The start with the nearest other number of nodes: fewer, but not one alone, else more; or None."""
        setting, others = self.setting(), self.nodes.neighbours
        fewer = [nodes for nodes in others if 1 < nodes < setting.nodes]
        more = [nodes for nodes in others if nodes > setting.nodes]
        alone = [nodes for nodes in others if nodes == 1 < setting.nodes]
        nearest = [*fewer[-1:], *more, *alone][:1]
        return replace(setting, nodes=nearest[0]) if nearest else None

    def on_move(self, moved: Callable[[], None]) -> None:
        """Call back whenever a control has been moved."""
        for control in self.all:
            control.widget.observe(lambda _: None if self._quiet else moved(), "value")
        self._moved = moved

    def reset(self) -> None:
        """All controls back to where they began: one move."""
        self._quiet = True
        try:
            for control in self.all:
                control.reset()
        finally:
            self._quiet = False
        self._moved()

    def close(self) -> None:
        """Take the controls away."""
        for widget in (self.toggle, self.cluster_rows, *(c.widget for c in self.all)):
            widget.close()

    def _show_cluster(self, _: Any = None) -> None:
        self.cluster_rows.layout.display = None if self.toggle.value else "none"
