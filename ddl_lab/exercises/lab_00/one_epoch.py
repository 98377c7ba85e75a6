"""A worker of your own: one synchronous epoch, checked by what it computes, sends and records."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from ...history.history import History
from ...node.node import Node
from ...training.data import Split, load_digits
from ...training.loss import bce_with_logits
from ...training.model import gradient, make_model, parameters, sgd_step
from ...training.shards import batches
from ..helpers import Answer, Wrong, on_nodes, same_shape
from ..machine import Exercise
from ..mistakes import compare, near


def _one_epoch(node: Node, data: Split, lr: float) -> torch.Tensor:
    """One epoch, 64 digits a step on every node; returns the parameters, (201217,).

    Four nodes make 16 steps where one makes 63. A mean over four times as many digits is a better
    gradient, but a step along it is no longer, so fewer steps get less far. A larger lr makes up for
    part of it: try 0.2 and 0.4, and then 1.6. Labs 05 and 13 come back to this.
    """
    model = make_model(seed=0)
    for x, y in batches(data, node, batch_size=64):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            slope = gradient(loss, model)
        node.all_reduce(slope, op="mean")
        sgd_step(model, slope, lr)
        node.record(loss=loss)
    return parameters(model)


def _few(answer: Answer, nodes: int, each: int, lr: float) -> History:
    """The answer on so many nodes, each with so many digits."""
    train, digits = load_digits().train, nodes * each
    few = SimpleNamespace(x=train.x[:digits].clone(), y=train.y[:digits].clone())
    return on_nodes(answer, nodes, few, lr)


def _variant(
    op: str = "mean", times: float = 1, batch_size: int = 64, seed: int = 0, own: int = 0, fixed: bool = False
) -> Answer:
    """The reference with something changed; ``own``: how much the seed grows from rank to rank."""

    def worker(node: Node, data: Split, lr: float) -> torch.Tensor:
        model = make_model(seed=seed + own * node.rank)
        for x, y in batches(data, node, batch_size=batch_size):
            slope = gradient(bce_with_logits(model(x), y), model)
            node.all_reduce(slope, op=op)
            sgd_step(model, slope, times * (0.1 if fixed else lr))
        return parameters(model)

    return worker


def _check_one_epoch(answer: Answer) -> str:
    for case in ((2, 128, 0.2), (3, 129, 0.05)):  # two full batches of 64; three, for one digit too many
        history, expected = _few(answer, *case), _few(_one_epoch, *case)
        _check_parameters(history.results, expected.results[0], case)
        _check_spans(history, expected)
    return "two and three nodes, two rates: the parameters, the computing, the recorded losses"


def _check_parameters(results: Sequence[Any], right: torch.Tensor, case: tuple[int, int, float]) -> None:
    got = results[0]
    same_shape(got, right, "what rank 0 returns")
    if all(near(theirs, right) for theirs in results):
        return
    known = [(words, _few(worker, *case).results) for words, worker in MISTAKES.items()]
    for words, wrong in known:
        if all(map(near, results, wrong)):
            raise Wrong(words)
    for rank, theirs in enumerate(results):
        same_shape(theirs, right, f"what rank {rank} returns")
    if not all(near(theirs, got) for theirs in results):
        raise Wrong("the nodes end with different parameters: they never took the mean of their gradients")
    compare(got, right, "the tensor of parameters")


def _check_spans(history: History, expected: History) -> None:
    computed, asked = _computed(history), _computed(expected)
    for rank, (mine, ours) in enumerate(zip(computed, asked, strict=True)):
        if abs(mine - ours) > 1e-6 * ours:
            raise Wrong(
                f"the parameters are right, and rank {rank} computes for {mine:.3g} s of the virtual clock "
                f"instead of {ours:.3g}: arithmetic belongs into `with node.compute(samples=len(x)):`"
            )
    if "loss" not in history.metrics or len(history.metrics) != len(expected.metrics):
        raise Wrong("all is right but for the record: `node.record(loss=loss)` in every step")
    if not near(torch.tensor(history.metrics["loss"]), torch.tensor(expected.metrics["loss"])):
        raise Wrong("all is right but for the record: it isn't each step's loss that you record")


def _computed(history: History) -> list[float]:
    """Seconds that each rank computed."""
    spans = history.spans[history.spans["kind"] == "compute"]
    took_s = (spans["end_s"] - spans["start_s"]).groupby(spans["rank"]).sum()
    return [float(took_s.get(rank, 0.0)) for rank in range(history.nodes)]


MISTAKES = {
    "the parameters are those of the start: `lab.sgd_step` is missing, or no step reaches what you return": (
        _variant(times=0.0)
    ),
    "each step is as many times too long as there are nodes: `lr` times the mean of the gradients was asked, "
    "not their sum, and not `lr` times the nodes": _variant("sum"),
    "each node takes 32 digits a step: 64 on every node were asked, however many there are": (
        _variant(batch_size=32)
    ),
    "you step uphill: `sgd_step` subtracts lr times the gradient by itself": _variant(times=-1.0),
    "another start: `lab.make_model(seed=0)` was asked": _variant(seed=1),
    "each node starts from a model of its own: the same seed everywhere, `lab.make_model(seed=0)`": (
        _variant(own=1)
    ),
    "you step with 0.1, whatever `lr` is": _variant(fixed=True),
}


one_epoch = Exercise(
    key="00.one_epoch",
    title="A worker of your own",
    difficulty=3,
    minutes=8,
    reference=_one_epoch,
    check=_check_one_epoch,
    hints=(
        "`train` above has every line that you need; what differs is the batch size and what comes in.",
        "In this order: model; for each batch: loss and gradient inside `node.compute`, all_reduce, step, "
        "record.",
        "`for x, y in lab.batches(data, node, batch_size=64):`, and `return lab.parameters(model)` at the "
        "end.",
    ),
)
