"""Hyper-parameter search on many nodes: rank 0 hands out trials, all others train.

A *trial* is a setting, drawn from (seed, its number), and a network that is trained with it, so many steps at
a time. A *plan* says what is trained next: ``ask()`` returns a ``Job``, or None where it has none just now;
``tell(job, score)`` hears what came of it, the accuracy on digits that no trial trains on.

=====================  ==========================================  ==============================
plan                   who is trained on                           who waits
=====================  ==========================================  ==============================
RandomSearch           everyone, to the end                        nobody
SuccessiveHalving      of each rung the best 1/eta, when all of    all, for the last of the rung
                       it are in
AsynchronousHalving    who is among the best 1/eta of those that   nobody
                       are in so far
=====================  ==========================================  ==============================

A *rung* is a number of steps: least, eta · least, … up to most. What a trial has learnt travels with its job,
so any node can go on with it, and gets what the same node would have got, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import INPUTS, accuracy, make_model, parameters, sgd_step
from ..training.model import gradient as gradient_of
from ..training.shards import Samples, endless

BATCH = 32
STOP = -1  # in the place of a trial's number: no more work


class Job(NamedTuple):
    """Bring ``trial`` from step ``first`` to step ``last``, with a rate and so many hidden units."""

    trial: int
    first: int
    last: int
    lr: float
    hidden: int


class Plan(Protocol):
    """What decides which trial is trained, and how far."""

    def ask(self) -> Job | None:
        """The next job; None where there is none until more is told, or none at all."""

    def tell(self, job: Job, score: float) -> None:
        """Hear the score of a job that was handed out."""


def drawn(trial: int, first: int, last: int, seed: int = 0) -> Job:
    """A job of the setting that belongs to ``trial``: a rate from 0.001 to 10 and 8 to 128 hidden units, both
    even in the logarithm."""
    generator = torch.Generator().manual_seed(1000 * seed + trial)
    rate, units = torch.rand(2, generator=generator).tolist()
    return Job(trial, first, last, lr=10 ** (4 * rate - 3), hidden=round(8 * 16**units))


def rungs_of(least: int, most: int, eta: int) -> list[int]:
    """The steps at which trials are compared: least, eta · least, … up to ``most``.

    Raises ``ValueError`` where these aren't whole numbers from 1 up, eta from 2, and most at least least.
    """
    if not (1 <= least <= most and eta >= 2):
        raise ValueError(f"least={least}, most={most}, eta={eta}: 1 <= least <= most and eta >= 2 were asked")
    rungs = [least]
    while rungs[-1] * eta <= most:
        rungs.append(rungs[-1] * eta)
    return rungs


def best_of(heard: Mapping[int, float], count: int) -> list[int]:
    """The ``count`` trials of the highest scores, the best first; of equal ones the lower number."""
    return sorted(heard, key=lambda trial: (-heard[trial], trial))[:count]


class RandomSearch:
    """Every trial is trained to the end: ``trials`` jobs of ``most`` steps."""

    def __init__(self, trials: int = 27, most: int = 90, seed: int = 0) -> None:
        self.jobs = [drawn(trial, 0, most, seed) for trial in range(trials)]

    def ask(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, job: Job, score: float) -> None:
        """What came of it changes nothing here."""


class SuccessiveHalving:
    """All begin; when a rung is complete its best 1/eta, one at least, go on to the next."""

    def __init__(
        self, trials: int = 27, least: int = 10, most: int = 90, eta: int = 3, seed: int = 0
    ) -> None:
        self.rungs, self.eta, self.seed = rungs_of(least, most, eta), eta, seed
        self.jobs = [drawn(trial, 0, least, seed) for trial in range(trials)]
        self.width = trials
        self.heard: dict[int, float] = {}  # of the rung under way

    def ask(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, job: Job, score: float) -> None:
        self.heard[job.trial] = score
        rung = self.rungs.index(job.last) + 1
        if len(self.heard) < self.width or rung == len(self.rungs):
            return
        best = best_of(self.heard, max(1, self.width // self.eta))
        self.jobs = [drawn(trial, job.last, self.rungs[rung], self.seed) for trial in best]
        self.width, self.heard = len(best), {}


class AsynchronousHalving:
    """Whoever is free takes on a trial of the best 1/eta of its rung so far, or begins a new one."""

    def __init__(
        self, trials: int = 27, least: int = 10, most: int = 90, eta: int = 3, seed: int = 0
    ) -> None:
        self.rungs, self.eta, self.seed = rungs_of(least, most, eta), eta, seed
        self.heard: list[dict[int, float]] = [{} for _ in self.rungs]
        self.promoted: list[set[int]] = [set() for _ in self.rungs]
        self.fresh = list(range(trials))

    def ask(self) -> Job | None:
        for rung in reversed(range(len(self.rungs) - 1)):  # the furthest first
            heard, gone = self.heard[rung], self.promoted[rung]
            ready = [trial for trial in best_of(heard, len(heard) // self.eta) if trial not in gone]
            if ready:
                gone.add(ready[0])
                return drawn(ready[0], self.rungs[rung], self.rungs[rung + 1], self.seed)
        return drawn(self.fresh.pop(0), 0, self.rungs[0], self.seed) if self.fresh else None

    def tell(self, job: Job, score: float) -> None:
        self.heard[self.rungs.index(job.last)][job.trial] = score


def work(node: Node, train: Samples, check: Samples) -> None:
    """A node that trains: 1. take a job, 2. and what its trial has learnt, 3. train, and score on ``check``,
    4. hand both back; until rank 0 says stop."""
    message, score = torch.empty(5, dtype=torch.float64), torch.empty(1)
    while True:
        node.recv(message, 0)  # 1.
        trial, first, last, hidden = map(int, message[[0, 1, 2, 4]])
        if trial == STOP:
            return
        model = make_model(seed=0, hidden=hidden)
        if first:
            node.recv(parameters(model), 0)  # 2.
        samples = 3 * BATCH * (last - first) + len(check.y)  # a backward pass costs two forward passes
        with node.compute(flops=2.0 * INPUTS * hidden * samples):
            for x, y in islice(endless(train, None, BATCH), first, last):
                sgd_step(model, gradient_of(bce_with_logits(model(x), y), model), float(message[3]))
            score[0] = accuracy(model, check)  # 3.
        node.send(score, 0)  # 4.
        node.send(parameters(model), 0)


def lead(node: Node, plan: Plan) -> dict[int, dict[int, float]]:
    """Rank 0: 1. a job for each free node, 2. the next result, 3. told to the plan; then 4. stop.

    Returns the scores by trial and steps: {trial: {steps: score}}. Records each score as it comes, with its
    trial and steps, and ``best``, the highest so far.
    """
    free, busy = list(range(1, node.world_size)), dict[int, Job]()
    kept, scores, score = dict[int, Tensor](), dict[int, dict[int, float]](), torch.empty(1)
    while True:
        while free and (job := plan.ask()) is not None:
            busy[free[0]] = job
            node.isend(torch.tensor(job, dtype=torch.float64), free[0])  # 1.
            if job.first:
                node.isend(kept[job.trial], free[0])
            del free[0]
        if not busy:
            break
        worker = node.recv(score, src=None)  # 2.
        job = busy.pop(worker)
        kept[job.trial] = torch.empty_like(parameters(make_model(seed=0, hidden=job.hidden)))
        node.recv(kept[job.trial], worker)
        scores.setdefault(job.trial, {})[job.last] = float(score)
        plan.tell(job, float(score))  # 3.
        free.append(worker)
        best = max(max(found.values()) for found in scores.values())
        node.record(best=best, score=float(score), trial=job.trial, steps=job.last)
    for worker in free:
        node.isend(torch.tensor([STOP, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64), worker)  # 4.
    return scores


def search(
    node: Node, plan: Callable[[], Plan], train: Samples, check: Samples
) -> dict[int, dict[int, float]] | None:
    """Search by the plan that ``plan()`` makes, on rank 0, which returns the scores (see ``lead``).

    The others train, on ``train``, and return nothing. Raises ``ValueError`` on a single node, which would
    only hand out.
    """
    if node.world_size < 2:
        raise ValueError("1 node would only hand out trials: it takes one more, at least, to train.")
    if node.rank == 0:
        return lead(node, plan())
    work(node, train, check)
    return None
