"""The referee: runs an entry on the virtual clock, adds what its own code costs, and confirms it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch

from ...cluster.model import Cluster
from ...counted import counted
from ...errors import LabError, WorkerError
from ...history.history import History
from ...processes.run import run
from ...restarts.going import keep_going
from ...travel.checks import check_nodes, check_worker
from ...virtual.simulation import simulate
from .digits import PARAMETERS, batch_of, gradient_of
from .entry import Entry, Returned
from .fair import one_thread, sample_s
from .rules import NotAllowed
from .score import LUCK, Score, is_name
from .source import made, source_of
from .task import NODES, RESTART_S, TARGET, Task

MOST_FAILURES = 100
FREE_SAMPLES = 250  # worth of own processor time after each gradient, receive and collective
FREE_STEPS = 10  # as many at the start, for what a worker makes first
SEEDS = 3  # further ones, for what chance has a part in: who comes first, and who dies
REAL_S = 120.0  # that real processes may take

Made = Callable[[Task], Callable[..., Any]]  # the worker, with this task as its own


def practised(task: Task, worker: Callable[..., Any], nodes: int) -> History:
    """``worker`` on the virtual clock, on digits to practise with."""
    source, nodes = source_of(worker, task), check_nodes(nodes, NODES)
    with tempfile.TemporaryDirectory() as folder:
        own = Task(task.seed, task.failures, folder=folder)
        return _on_the_virtual_clock(made(source, own), own, nodes)


def scored(task: Task, worker: Callable[..., Any], nodes: int, name: str | None, confirm: bool) -> Score:
    """The score of ``worker``."""
    check_worker(worker, ())
    if name is not None and not is_name(name):
        raise ValueError(f"task.score: name={name!r:.60}: it takes a text of 1 to 40 characters, on a line.")
    source, nodes = source_of(worker, task), check_nodes(nodes, NODES)
    return judged(task, lambda own: made(source, own), source.text, nodes, name or source.worker, confirm)


def judged(task: Task, make: Made, text: str, nodes: int, name: str, confirm: bool) -> Score:
    """Run it, measure it, confirm it. With failures: the mean of several draws, of which all must arrive."""
    draws = SEEDS + 1 if task.failures else 1
    tries = [_Try(make, (task.seed + draw) % 2**32, task.failures, nodes) for draw in range(draws)]
    checked, held_out = (min(one.accuracy(which) for one in tries) for which in (False, True))
    confirmed, how = False, "not asked for"
    if not reached(checked, held_out):
        how = f"it has not reached {TARGET:.0%}"
    elif task.failures:
        confirmed, how = True, f"it arrived in all of {draws} draws of failures"
    elif confirm:
        confirmed, how = confirmation(tries[0])
    costs = zip(*(one.cost() for one in tries), strict=True)
    seconds, node_seconds, charged_s = (sum(cost) / draws for cost in costs)
    return Score(
        name, task.seed, task.failures, nodes, seconds, node_seconds, charged_s, checked, held_out,
        confirmed=confirmed, how=how, source=text, history=tries[0].history,
    )  # fmt: skip


class NotArrived(LabError):
    """Nodes died so often that an entry has not come to its end."""


class _Try:
    """An entry that has been run on the virtual clock."""

    def __init__(self, make: Made, seed: int, failures: bool, nodes: int) -> None:
        self.make, self.nodes = make, nodes
        with tempfile.TemporaryDirectory() as folder:
            self.task = Task(seed, failures, scored=True, folder=folder)
            entry = Entry(make(self.task), self.task)
            self.history = _on_the_virtual_clock(entry, self.task, nodes)
        self.returned: list[Returned] = self.history.results
        self.history.results = [one.model for one in self.returned]
        self.model = _first(self.history.results)

    def accuracy(self, held_out: bool) -> float:
        """Of its model."""
        return self.accuracy_of(self.model, held_out)

    def accuracy_of(self, model: torch.Tensor, held_out: bool) -> float:
        """Of another model (P,), on the same digits."""
        with one_thread():
            return self.task.accuracy(model, held_out)

    def cost(self) -> tuple[float, float, float]:
        """Seconds, node-seconds, and what of the seconds was charged for the entry's own code."""
        charges = self._charges_s()
        ends = {rank: end_s + charges[rank] for rank, end_s in self.history.finished_s.items()}
        seconds = max(ends.values())
        paid = sum(ends.values()) + self._lost_s()
        return seconds, paid, seconds - max(self.history.finished_s.values())

    def _charges_s(self) -> list[float]:
        """By rank: processor time of its own code, beyond what is free, as the samples that it is worth."""
        each_s = sample_s(_gradient_to_measure, 256)
        worth = [one.own_s / each_s - FREE_SAMPLES * (FREE_STEPS + one.steps) for one in self.returned]
        return [
            _cluster(self.task, self.nodes).compute_s(r, "samples", max(0, w)) for r, w in enumerate(worth)
        ]

    def _lost_s(self) -> float:
        """Node-seconds of attempts that a failure ended, less those before the last attempt's begin."""
        begins, lost = 0.0, 0.0
        outs = self.history.metrics
        for attempt in self.history.attempts[:-1]:
            for rank in range(attempt.nodes):
                here = outs[(outs["rank"] == rank) & outs["time_s"].between(begins, attempt.at_s)]
                returned = here["time_s"][here["out"] == 1.0] if "out" in outs else []
                lost += min([attempt.at_s, *returned]) - begins
            begins = attempt.at_s + RESTART_S
        return lost - begins * self.nodes


def reached(checked: float, held_out: float) -> bool:
    """Whether a model passes, and the digits that it hasn't seen don't say otherwise."""
    return checked >= TARGET and held_out >= TARGET - LUCK


def confirmation(tried: _Try) -> tuple[bool, str]:
    """Whether a try is confirmed, and by what."""
    try:
        found = _in_real_processes(tried)
    except LabError as error:
        return False, f"in real processes {str(error).splitlines()[0]}"
    if torch.equal(found, tried.model):
        return True, f"to the bit, by {counted(tried.nodes, 'real process', 'real processes')}"
    return _over_seeds(tried, tried.accuracy_of(found, held_out=True))


def _over_seeds(tried: _Try, real: float) -> tuple[bool, str]:
    """By the held-out digits: what an entry reaches whose numbers depend on who comes first."""
    found = [real, tried.accuracy(held_out=True)]
    for more in range(1, SEEDS + 1):
        seed = (tried.task.seed + more) % 2**32
        try:
            found.append(_Try(tried.make, seed, False, tried.nodes).accuracy(held_out=True))
        except LabError as error:
            return False, f"with seed {seed} {str(error).splitlines()[0]}"
    told = f"{min(found):.1%} to {max(found):.1%} held out, over {SEEDS + 1} seeds and in processes"
    return min(found) >= TARGET - LUCK, f"asynchronous, {told}"


def _in_real_processes(tried: _Try) -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        task = Task(tried.task.seed, scored=True, folder=folder)
        entry = Entry(tried.make(task), task)
        history = run(entry, tried.nodes, timeout_s=REAL_S, progress=False)
    return _first([one.model for one in history.results])


def _on_the_virtual_clock(worker: Callable[..., Any], task: Task, nodes: int) -> History:
    cluster = _cluster(task, nodes)
    if not task.failures:
        return simulate(worker, nodes, cluster=cluster)
    going: dict[str, Any] = {"restart_s": RESTART_S, "most_failures": MOST_FAILURES, "progress": False}
    try:
        return keep_going(worker, nodes, virtual=True, cluster=cluster, **going)
    except WorkerError as error:
        if not error.killed:
            raise
        raise NotArrived(
            f"after {MOST_FAILURES} failures the entry had not arrived: keep what is done by task.save and "
            "task.restore, more often, or use fewer nodes."
        ) from None


def _cluster(task: Task, nodes: int) -> Cluster:
    return task.cluster.of_ranks(range(nodes))


def _first(models: list[torch.Tensor | None]) -> torch.Tensor:
    for model in models:
        if model is not None:
            return model
    raise NotAllowed(
        "no node returned a model: at least one returns it, or lab.parameters(model); the others may "
        "return None."
    )


def _gradient_to_measure() -> None:
    flat = torch.zeros(PARAMETERS)
    gradient_of(flat, *batch_of(0, False, 0, 0, 256))
