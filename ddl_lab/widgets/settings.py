"""What an explorer's controls add up to: a worker, nodes, arguments, a cluster; and the line that runs it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..cluster.model import Cluster, Geometric
from ..counted import counted
from ..travel.capture import unwrapped
from ..travel.checks import check_args, check_worker

Worker = Callable[..., Any]
PLAIN = (str, bytes, bool, int, complex, type(None))  # whose repr is what one would type


@dataclass(frozen=True)
class Setting:
    """All that one simulation of an explorer is given."""

    worker: Worker
    nodes: int
    args: tuple[Any, ...]
    cluster: Cluster
    changed: tuple[str, ...] = ()  # what differs from the start, besides the nodes: "lr 0.3"

    @property
    def label(self) -> str:
        """How the legend names it: "8 nodes, lr 0.3"."""
        return ", ".join([counted(self.nodes, "node"), *self.changed])

    def code(self) -> str:
        """One line that does the same, where the worker was made: its variables go by their names there."""
        there = _variables(self.worker)
        parts = [_name(self.worker, there), f"nodes={self.nodes}"]
        if told := cluster_code(self.cluster):
            parts.append(f"cluster=lab.Cluster({told})")
        if self.args:
            parts.append(f"args={_code(self.args, there)}")
        return f"lab.simulate({', '.join(parts)})"


def cluster_code(cluster: Cluster) -> str:
    """The arguments that make this cluster, those left out that are as usual."""
    usual = Cluster()
    told = {f.name: getattr(cluster, f.name) for f in fields(usual)}  # without what was measured besides
    return ", ".join(f"{name}={_code(v)}" for name, v in told.items() if v != getattr(usual, name))


def _variables(worker: Worker) -> Mapping[str, Any]:
    """The variables that are known where ``worker`` was made: a notebook's, mostly."""
    found: Mapping[str, Any] = getattr(unwrapped(worker), "__globals__", {})
    return found


def _code(value: Any, there: Mapping[str, Any] | None = None) -> str:
    """``value`` as one would type it; what has no such form goes by its name ``there``."""
    if isinstance(value, Geometric):
        first = "" if value.first == Geometric(1.0).first else f", {value.first!r}"
        return f"lab.geometric({value.alpha!r}{first})"
    if isinstance(value, float):  # a slider's 5e-05 is 4.9999999999999996e-05 after a product
        return repr(float(f"{value:.12g}")) if math.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, tuple) and type(value) is tuple:
        parts = [_code(part, there) for part in value]
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(_code(part, there) for part in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_code(k, there)}: {_code(v, there)}" for k, v in value.items()) + "}"
    return repr(value) if isinstance(value, PLAIN) else _name(value, there or {}, repr(value))


def _name(thing: Any, there: Mapping[str, Any] | None = None, other: str = "") -> str:
    """What ``thing`` is called; ``other`` for what has no name."""
    names = [name for name, value in (there or {}).items() if value is thing and not name.startswith("_")]
    own = getattr(thing, "__name__", "")
    return str(own if own in names else (names or [own or other or type(thing).__name__])[0])


def with_cluster(cluster: Cluster, nodes: int, moved: Mapping[str, float]) -> Cluster:
    """``cluster`` with what was moved: latency_us, bandwidth_mb_per_s, and the last node's slow factor."""
    changes: dict[str, Any] = {}
    if "latency_us" in moved:
        changes["latency_s"] = float(f"{moved['latency_us'] * 1e-6:.12g}")
    if "bandwidth_mb_per_s" in moved:
        changes["bandwidth_bytes_per_s"] = float(f"{moved['bandwidth_mb_per_s'] * 1e6:.12g}")
    if "slowest" in moved:
        changes["slow"] = {**cluster.slow, nodes - 1: moved["slowest"]}
    return replace(cluster, **changes) if changes else cluster


def cut_to(cluster: Cluster, nodes: int, of: int) -> Cluster:
    """``cluster`` for fewer nodes than the ``of`` that it was meant for: the first ones, and its last."""
    if nodes == of:
        return cluster
    return cluster.of_ranks([*range(nodes - 1), of - 1])


class Arguments:
    """A worker's arguments after the node: some given, some from controls, the rest as it has them."""

    def __init__(self, worker: Worker, given: Sequence[Any], starts: Mapping[str, Any]) -> None:
        """``starts``: by the name of an argument, where its control begins. Raises ``TypeError``."""
        self._given = check_args(given)
        self._names = list(starts)
        if not starts:
            return
        if not callable(worker):
            check_worker(worker, self._given)
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        found = inspect.signature(worker).parameters.values()
        self._parameters = [p for p in found if p.kind in kinds][1:]
        self._check(worker)

    def _check(self, worker: Worker) -> None:
        names = [p.name for p in self._parameters]
        told = f"{_name(worker)}{inspect.signature(worker)}"
        for name in self._names:
            if name not in names:
                raise TypeError(
                    f"explore({name}=…): {told} has no argument {name!r} after its node that can be given in "
                    f"order; it has {', '.join(names) or 'none'}."
                )
            if names.index(name) < len(self._given):
                raise TypeError(f"explore({name}=…): args gives {name!r} already; take it out of args.")
        last = max(names.index(name) for name in self._names)
        for parameter in self._parameters[len(self._given) : last]:
            if parameter.default is parameter.empty and parameter.name not in self._names:
                raise TypeError(
                    f"explore: {told} needs {parameter.name!r} as well: give it a control or args."
                )

    def filled(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in order, up to the last that a control moves."""
        if not self._names:
            return self._given
        rest = self._parameters[len(self._given) :]
        last = max(place for place, p in enumerate(rest) if p.name in self._names)
        return self._given + tuple(values.get(p.name, p.default) for p in rest[: last + 1])
