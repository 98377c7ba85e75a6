"""What both engines check before anything starts. Each refusal: the value, the range, the mend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..cluster.model import Cluster

SIMULATING: list[Any] = []  # the simulation that goes on now, if any


def refuse_inside(call: str) -> None:
    """Raise ``RuntimeError`` inside a simulated worker."""
    if SIMULATING:
        raise RuntimeError(
            f"{call} inside a simulation: a worker is one node and starts no others. "
            "Call it outside of the worker."
        )


def check_nodes(nodes: Any, most: int) -> int:
    """Return ``nodes``; ``TypeError`` unless it is a whole number, ``ValueError`` outside 1 to ``most``."""
    wanted = f"nodes must be a whole number from 1 to {most:,}"
    if isinstance(nodes, bool) or not hasattr(nodes, "__index__"):
        raise TypeError(f"{wanted}, got {nodes!r:.40}: try nodes=4.")
    count = int(nodes.__index__())
    if not 1 <= count <= most:
        mend = "one node is the smallest cluster" if count < 1 else "ask for fewer"
        raise ValueError(f"{wanted}, got {count:,}: {mend}.")
    return count


def check_worker(worker: Any, args: Sequence[Any]) -> None:
    """Raise ``TypeError`` unless ``worker(node, *args)`` is a possible call."""
    if not callable(worker):
        raise TypeError(
            f"worker must be a function of a node, got {worker!r:.60} (a {type(worker).__name__}): "
            "write def worker(node): … and pass its name, without calling it."
        )
    if inspect.iscoroutinefunction(worker) or inspect.isgeneratorfunction(worker):
        kind = "async" if inspect.iscoroutinefunction(worker) else "a generator (it has a yield)"
        raise TypeError(f"{_name(worker)} is {kind}, and would only be made, not run: use a plain function.")
    try:
        signature = inspect.signature(worker)
    except (TypeError, ValueError):  # some builtins tell nothing: the call itself will show
        return
    _check_call(worker, signature, args)


def _check_call(worker: Callable[..., Any], signature: inspect.Signature, args: Sequence[Any]) -> None:
    told = f"{_name(worker)}{signature}"
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [p for p in signature.parameters.values() if p.kind in positional]
    rest = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())
    if not named and not rest:
        mend = "lambda node: …" if _name(worker) == "<lambda>" else f"def {_name(worker)}(node): …"
        raise TypeError(f"{told} takes no node: write {mend}")
    try:
        signature.bind(None, *args)
    except TypeError as error:
        given = f"a node and {len(args)} from args" if args else "a node (args is empty)"
        raise TypeError(
            f"{told} is called with {given}, and that does not fit ({error}): "
            "args=(…,) holds what comes after the node."
        ) from None


def check_args(args: Any) -> tuple[Any, ...]:
    """Return ``args`` as a tuple; raise ``TypeError`` for what is no tuple and no list."""
    if not isinstance(args, tuple | list):
        raise TypeError(
            f"args must be a tuple of what the worker takes after its node, got {args!r:.60} "
            f"(a {type(args).__name__}): write args=({args!r:.20},)."
        )
    return tuple(args)


def check_cluster(cluster: Any, nodes: int) -> Cluster:
    """Return ``cluster``; raise ``TypeError`` for what is none, ``ValueError`` where it has other nodes."""
    if not isinstance(cluster, Cluster):
        kind = type(cluster).__name__
        raise TypeError(
            f"cluster must be a Cluster, got {cluster!r:.60} (a {kind}): "
            "write cluster=Cluster(latency_s=50e-6)."
        )
    cluster.check_nodes(nodes)
    return cluster


def _name(worker: Any) -> str:
    return str(getattr(worker, "__name__", None) or type(worker).__name__)
