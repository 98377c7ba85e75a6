"""A worker of your own: one synchronous epoch, checked by what it computes, sends and records."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from ...history.history import History
from ...node.node import Node
from ...training.data import Split, load_digits
from ...training.loss import bce_with_logits
from ...training.model import gradient, make_model, parameters, sgd_step
from ...training.shards import batches
from ..helpers import Answer, Wrong, on_nodes, same_shape, same_traffic
from ..machine import Exercise
from ..mistakes import compare, near


def _one_epoch(node: Node, data: Split, lr: float) -> torch.Tensor:
    """One epoch, 64 digits a step on every node; returns the parameters, (201217,).

    Four nodes make 16 steps where one makes 63. A mean over four times as many digits is a better
    gradient, but a step along it is no longer, so fewer steps get less far. A larger lr makes up for
    part of it: try 0.2 and 0.4, and then 1.6. Labs 05 and 12 come back to this.
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


def _few(answer: Answer, nodes: int) -> History:
    """The answer on 300 digits."""
    train = load_digits().train
    return on_nodes(answer, nodes, SimpleNamespace(x=train.x[:300].clone(), y=train.y[:300].clone()), 0.1)


def _variant(op: str, lr: float = 0.1, batch_size: int = 64, seed: int = 0) -> Answer:
    """The reference with something changed."""

    def worker(node: Node, data: Split, _: float) -> torch.Tensor:
        model = make_model(seed=seed)
        for x, y in batches(data, node, batch_size=batch_size):
            slope = gradient(bce_with_logits(model(x), y), model)
            node.all_reduce(slope, op=op)
            sgd_step(model, slope, lr)
        return parameters(model)

    return worker


def _check_one_epoch(answer: Answer) -> str:
    history, expected = _few(answer, 2), _few(_one_epoch, 2)
    got, right = history.results[0], expected.results[0]
    same_shape(got, right, "what rank 0 returns")
    if not torch.equal(got, history.results[1]):
        raise Wrong(
            "the two nodes end with different parameters: they never took the mean of their gradients"
        )
    if not near(got, right):
        likely = {words: _few(worker, 2).results[0] for words, worker in MISTAKES.items()}
        compare(got, right, "the tensor of parameters", *likely.items())
    same_traffic(history, expected, "One all_reduce of the gradient in each step does it.")
    spans, asked_s = history.spans, expected.elapsed_s
    if "compute" not in set(spans["kind"]) or abs(history.elapsed_s - asked_s) > 1e-6 * asked_s:
        raise Wrong(
            f"the parameters are right, and the virtual clock shows {history.elapsed_s:.3g} s instead of "
            f"{asked_s:.3g}: arithmetic belongs into `with node.compute(samples=len(x)):`, messages do not"
        )
    if "loss" not in history.metrics or len(history.metrics) != len(expected.metrics):
        raise Wrong("all is right but for the record: `node.record(loss=loss)` in every step")
    return "300 digits on two nodes: the parameters, the messages, the virtual time, the recorded losses"


MISTAKES = {
    "the parameters are those of the start: `lab.sgd_step` is missing": _variant("mean", lr=0.0),
    "you took the sum of the gradients: each step is 2 times too long, and 2 is the number of nodes": (
        _variant("sum")
    ),
    "each node takes 32 digits a step: 64 on every node were asked, however many there are": (
        _variant("mean", batch_size=32)
    ),
    "you step uphill: `sgd_step` subtracts lr times the gradient by itself": _variant("mean", lr=-0.1),
    "another start: `lab.make_model(seed=0)` was asked": _variant("mean", seed=1),
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
