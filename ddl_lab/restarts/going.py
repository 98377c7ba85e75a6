"""``keep_going``: run again after each failure, from what the worker itself has saved.

No engine knows what a worker's state is, so none can restore it: the worker writes checkpoints, and looks for
one when it starts. What is here starts it again, and joins what was recorded on one time axis.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..cluster.model import Cluster
from ..counted import counted
from ..errors import WorkerError
from ..history.attempts import Attempt
from ..history.history import History
from ..processes.plan import is_rank, plan
from ..processes.run import carry_out
from ..ranges import check_count, check_number
from ..travel.checks import check_cluster, check_nodes
from ..virtual.simulation import MOST_NODES, Simulation, finished
from .joined import joined

Once = Callable[[int, Cluster | None, float], History]  # an attempt: nodes, their cluster, where the clock is


def keep_going(
    worker: Callable[..., Any],
    nodes: int,
    *,
    shrink: bool = False,
    fewest: int = 1,
    most_failures: int = 10,
    restart_s: float = 0.0,
    virtual: bool = False,
    device: str = "cpu",
    transport: str = "auto",
    cluster: Cluster | None = None,
    timeout_s: float | None = None,
    args: Sequence[Any] = (),
    progress: bool = True,
) -> History:
    """Run ``worker(node, *args)``; when a rank is killed run it again, until an attempt finishes.

    A worker that shall not begin anew each time saves checkpoints, and starts from the last one it finds.
    As ``run``, on the wall clock or at a ``cluster``'s pace; ``virtual``: as ``simulate``. Each attempt has
    as many nodes; with ``shrink`` those that are left: the dead one's speed, slow factor and stalls go with
    it, the others are renumbered in their order. What is retried: a rank killed by a signal, or by its
    cluster's ``mtbf_s`` (drawn anew for each attempt) or ``fails`` (which hold for the first one).

    Returns the History of all attempts: ``attempts`` lists (nodes, rank killed, at_s), the one that finished
    last, with rank None. There is one time axis: ``node.now()`` goes on ``restart_s`` after the failure,
    which real runs wait for; starting processes takes none of it, as in ``run``. ``results`` are those of
    the last attempt, and steps go on counting. ``timeout_s`` is that of each attempt.

    Raises what ``run`` or ``simulate`` raise, at once what a worker itself raises, with the history of all
    attempts; the ``WorkerError`` of a killed rank after more than ``most_failures``, or where fewer than
    ``fewest`` nodes would be left. ``ValueError`` for bad arguments, and under torchrun, which restarts by
    itself: ``--max-restarts``.
    """

    def real(nodes: int, cluster: Cluster | None, began_s: float) -> History:
        asked = plan(worker, nodes, device, transport, cluster, timeout_s, args)
        return carry_out(worker, args, replace(asked, began_s=began_s), progress)

    def simulated(nodes: int, cluster: Cluster | None, began_s: float) -> History:
        return finished(Simulation(worker, nodes, cluster or Cluster(), args, began_s=began_s), progress)

    nodes = _checked(nodes, fewest, most_failures, restart_s, cluster)
    going = _Going(simulated if virtual else real, fewest, most_failures)
    while not going.attempt(nodes, cluster):
        left = nodes - shrink
        going.go_on(left, restart_s, progress)
        cluster = _next(cluster, nodes, going.failure.rank, shrink)
        nodes = left
        if not virtual:
            going.wait(restart_s)
    return going.history


class _Going:
    """The attempts so far, and what is known of them."""

    def __init__(self, once: Once, fewest: int, most_failures: int) -> None:
        self._once, self._fewest, self._most_failures = once, fewest, most_failures
        self._parts: list[History] = []
        self._attempts: list[Attempt] = []
        self._begins_s = 0.0  # the next attempt, on the axis of all
        self.failure = WorkerError("")  # that ended the last one

    @property
    def history(self) -> History:
        """Of all attempts."""
        return joined(self._parts, self._attempts)

    def attempt(self, nodes: int, cluster: Cluster | None) -> bool:
        """Make one; whether it finished, else a rank was killed. Raises what else ended it."""
        try:
            self._note(self._once(nodes, cluster, self._begins_s), nodes, None)
            return True
        except BaseException as error:
            if (history := getattr(error, "history", None)) is not None:
                self._note(history, nodes, getattr(error, "rank", None))
                error.history = self.history  # type: ignore[attr-defined]
            if not isinstance(error, WorkerError) or not error.killed:
                raise
            self.failure = error
            return False

    def _note(self, history: History, nodes: int, rank: int | None) -> None:
        self._parts.append(history)
        self._attempts.append(Attempt(nodes, rank, history.elapsed_s))

    def go_on(self, left: int, restart_s: float, tell: bool) -> None:
        """Another attempt begins, on as many nodes as are ``left``; raises the failure where none may."""
        failures = len(self._attempts)
        if failures > self._most_failures:
            self._give_up(f"It is failure {failures}, and most_failures={self._most_failures}")
        if left < self._fewest:
            self._give_up(f"{counted(left, 'node')} would be left, and fewest={self._fewest}")
        self._begins_s = self.failure.at_s + restart_s
        if tell:
            where = f"on {counted(left, 'node')}, at {self._begins_s:.3g} s"
            print(f"{self.failure} Attempt {failures + 1} begins {where}.")

    def _give_up(self, why: str) -> None:
        self.failure.args = (f"{self.failure} {why}: keep_going() ends here.",)
        raise self.failure

    def wait(self, restart_s: float) -> None:
        """Sleep as long as a restart takes; an interrupt has the history of all attempts."""
        try:
            time.sleep(restart_s)
        except KeyboardInterrupt as stop:
            stop.history = self.failure.history  # type: ignore[attr-defined]
            raise


def _checked(nodes: Any, fewest: Any, most_failures: Any, restart_s: Any, cluster: Any) -> int:
    """The nodes; raises ``ValueError`` or ``TypeError`` for what can't be meant."""
    if is_rank():
        raise ValueError(
            "keep_going() under torchrun: call run(), and let torchrun start the ranks again, as in "
            "torchrun --max-restarts 3."
        )
    nodes = check_nodes(nodes, MOST_NODES)
    check_count("fewest", fewest, "the smallest number of nodes to go on with")
    if fewest > nodes:
        raise ValueError(f"fewest={fewest} of nodes={nodes}: it takes at most as many as there are.")
    if type(most_failures) is not int or most_failures < 0:
        raise ValueError(f"most_failures={most_failures!r}: it takes a whole number from 0 up.")
    check_number("restart_s", restart_s, "seconds", least=0)
    if cluster is not None:
        check_cluster(cluster, nodes)
    return nodes


def _next(cluster: Cluster | None, nodes: int, dead: int, shrink: bool) -> Cluster | None:
    """The cluster of the next attempt, which has other failures; without the ``dead`` rank if it shrinks."""
    if cluster is None:
        return None
    left = cluster.of_ranks([rank for rank in range(nodes) if rank != dead]) if shrink else cluster
    return replace(left, attempt=cluster.attempt + 1)
