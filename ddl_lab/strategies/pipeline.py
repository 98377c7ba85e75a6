"""Pipelines: a deep network in stages, a stage or several a node, micro-batches on their way through.

A schedule (``schedules.py``) says what each node does when; ``interpret`` carries it out. The arithmetic
is a ``Work``: forward and backward of one stage on one micro-batch. Between them stands communication, in
the open: a stage's input and the gradient by its output are plain tensors that came in a message.

Every schedule adds up the micro-batches' gradients in the same order, so all of them, on any number of
nodes, give the gradient of one process that accumulates the micro-batches, to the bit; that of the whole
batch at once to 1e-6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, pairwise

import torch
from torch import Tensor, nn

from ..counted import counted
from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import INPUTS, parameters, sgd_step
from ..training.shards import Samples, endless
from .activations import Live
from .playing import COMPUTING, check
from .schedules import Schedule, Step

WIDTH, DEPTH = 256, 8  # 784 -> 256, eight times 256 -> 256, 256 -> 1
Stages = Mapping[int, nn.Module]  # those of a node, by number
Kept = tuple[nn.Module, Tensor, Tensor]  # stage, input, output
NOTHING: Mapping[str, float] = dict.fromkeys(COMPUTING, 0.0)


def make_layers(seed: int) -> list[nn.Sequential]:
    """784 -> 256, eight times 256 -> 256, each with a ReLU, then 256 -> 1: ten layers, to be cut anywhere.

    Weights from U(-k, k), k = sqrt(6 / inputs), so that signals keep their size through the ReLUs;
    biases 0. The same ``seed`` gives the same layers everywhere; the global random state stays.
    """
    sizes = [INPUTS, *[WIDTH] * (DEPTH + 1), 1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        linears = [nn.Linear(*pair) for pair in pairwise(sizes)]
        for linear in linears:
            nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
    *hidden, logit = linears
    return [*(nn.Sequential(linear, nn.ReLU()) for linear in hidden), nn.Sequential(logit)]


def cut(layers: Sequence[nn.Module], stages: int) -> list[nn.Sequential]:
    """The layers in ``stages`` pieces, side by side, that differ by one layer at most; larger ones first.

    Raises ``ValueError`` for more stages than layers.
    """
    if not 1 <= stages <= len(layers):
        raise ValueError(f"{len(layers)} layers can't be cut into {stages} stages: give 1 to {len(layers)}")
    least, more = divmod(len(layers), stages)
    ends = [least * s + min(s, more) for s in range(stages + 1)]
    return [nn.Sequential(*layers[a:b]) for a, b in pairwise(ends)]


def micro_batches_of(x: Tensor, y: Tensor, micros: int) -> list[tuple[Tensor, Tensor]]:
    """A batch as ``micros`` micro-batches, whose digits differ by one in number at most.

    Raises ``ValueError`` for fewer than one micro-batch, or more than digits.
    """
    if not 1 <= micros <= len(x):
        raise ValueError(f"a batch of {len(x)} digits can't be cut into {micros} micro-batches")
    return list(zip(x.tensor_split(micros), y.tensor_split(micros), strict=True))


class Work:
    """Forward and backward of this node's stages on the micro-batches of one batch.

    ``stages``: by number. ``last``: the number of the last stage of all. ``x`` (b, 784) and ``y`` (b, 1)
    are cut into ``micros`` parts that differ by one digit at most. ``gradients``: by stage, (P,), the sum
    over the micro-batches done: that of the batch's mean loss. ``losses``: shares of that mean.
    Raises ``ValueError`` for fewer than one micro-batch, or more than digits.
    """

    def __init__(self, stages: Stages, last: int, x: Tensor, y: Tensor, micros: int) -> None:
        self.stages, self.last, self.batch = stages, last, len(x)
        self.x, self.y = zip(*micro_batches_of(x, y, micros), strict=True)
        self.kept: dict[tuple[int, int], Kept] = {}
        self.live = Live(parameters(stage) for stage in stages.values())
        self.gradients = {s: torch.zeros_like(parameters(stage)) for s, stage in stages.items()}
        self.losses: list[Tensor] = []

    def forward(self, s: int, k: int, x: Tensor) -> Tensor:
        """What stage ``s`` makes of ``x``; keeps what the backward pass needs."""
        self.kept[s, k] = self.through(self.stages[s], s, k, x)
        return self.kept[s, k][-1].detach()

    def backward(self, s: int, k: int, g: Tensor | None) -> Tensor:
        """From the gradient ``g`` by the stage's output (None at the last) to that by its input."""
        return self.back(s, *self.kept.pop((s, k)), g)

    def through(self, stage: nn.Module, s: int, k: int, x: Tensor) -> Kept:
        """A forward pass: stage, input (cut off from all before it), and output or share of the loss."""
        x = self.live.watch(x.detach().requires_grad_())
        with self.live:
            out = stage(x)
            if s == self.last:
                out = bce_with_logits(out, self.y[k]) * (len(x) / self.batch)
        return stage, x, out

    def back(self, s: int, stage: nn.Module, x: Tensor, out: Tensor, g: Tensor | None) -> Tensor:
        """A backward pass: adds to the stage's gradient, returns that by ``x``."""
        if s == self.last:
            self.losses.append(out.detach())
        gx, *parts = torch.autograd.grad(out, [x, *stage.parameters()], g)
        self.gradients[s] += torch.cat([part.reshape(-1) for part in parts])
        return gx


def interpret(node: Node, steps: Sequence[Step], work: Work, seconds: Mapping[str, float] = NOTHING) -> None:
    """Carry out one node's part of a schedule, step by step.

    ``seconds``: what a step of each kind is charged on a cluster's clock, for one micro-batch. A backward in
    two parts, "input" and "weights", needs ``works.Halves``.
    """
    mail = {("x", 0, k): part for k, part in enumerate(work.x)}  # what there is, by whom it is for
    sends = []
    for step in steps:
        kind, s, k = step[:3]
        key = step.what, s, k
        if kind == "forward":
            with node.compute(seconds=seconds["forward"]):
                mail["x", s + 1, k] = work.forward(s, k, mail.pop(("x", s, k)))
        elif not step.what:  # backward, or one of its two parts
            with node.compute(seconds=seconds[kind]):
                gx = getattr(work, kind)(s, k, mail.pop(("g", s, k), None))
            if s and gx is not None:
                mail["g", s - 1, k] = gx
        elif kind == "recv":
            mail[key] = torch.empty(len(work.x[k]), WIDTH)
            node.recv(mail[key], step.peer, step.tag)
        elif kind == "send":
            node.send(mail.pop(key), step.peer, step.tag)
        else:
            sends.append(node.isend(mail.pop(key), step.peer, step.tag))
    for sending in sends:
        sending.wait()


def mine(node: Node, schedule: Schedule, layers: Sequence[nn.Module]) -> tuple[dict[int, nn.Module], int]:
    """This node's stages by number, as the schedule has them, and the number of the last of all."""
    if len(schedule) != node.world_size:
        told = counted(len(schedule), "node")
        raise ValueError(f"this schedule is for {told}, and there are {node.world_size}")
    last = max(step.stage for steps in schedule for step in steps)
    stages = cut(layers, last + 1)
    here = {step.stage for step in schedule[node.rank] if not step.what}
    return {s: stages[s] for s in sorted(here)}, last


def pipeline(
    node: Node,
    data: Samples,
    schedule: Schedule,
    steps: int,
    batch_size: int = 64,
    lr: float = 0.05,
    seconds: Mapping[str, float] = NOTHING,
    work_of: type[Work] = Work,
) -> dict[int, Tensor]:
    """Train on ``steps`` batches; returns this node's parameters by stage, (P,) each.

    Each step: 1. the schedule, 2. one step of gradient descent a stage. All nodes walk through the same
    batches; only the first stage looks at x, only the last at y. Raises ``ScheduleError`` for a schedule
    that doesn't end, ``ValueError`` for one of another number of nodes or of more stages than layers.
    """
    check(schedule)
    stages, last = mine(node, schedule, make_layers(seed=0))
    micros = 1 + max(step.micro for step in schedule[0])
    alone = node.group([node.rank])  # to ``batches``, the whole pipeline is one node
    for x, y in islice(endless(data, alone, batch_size), steps):
        work = work_of(stages, last, x, y, micros)
        interpret(node, schedule[node.rank], work, seconds)  # 1.
        for s, stage in stages.items():
            sgd_step(stage, work.gradients[s], lr)  # 2.
        record = {"peak_bytes": work.live.peak_bytes}
        node.record(**record, **({"loss": torch.stack(work.losses).sum()} if last in stages else {}))
    return {s: parameters(stage).clone() for s, stage in stages.items()}
