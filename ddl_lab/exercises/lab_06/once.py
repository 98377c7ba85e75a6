"""Pull once, push once: a worker's round with several batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...node.node import Node
from ...training.loss import bce_with_logits
from ...training.model import gradient, make_model, parameters
from ..drawn import small_batches
from ..helpers import Answer
from ..machine import Exercise
from ..mistakes import compare
from .shared import served

Batches = list[tuple[Tensor, Tensor]]


def _accumulating_worker(node, model, batches):  # type: ignore[no-untyped-def]
    node.recv(parameters(model), 0)
    total = torch.zeros_like(parameters(model))
    for x, y in batches:
        total += gradient(bce_with_logits(model(x), y), model)
    node.send(total / len(batches), 0)


def _gradients(model: Any, given: Batches) -> list[Tensor]:
    return [gradient(bce_with_logits(model(x), y), model) for x, y in given]


def _once(node: Node, answer: Answer, given: Batches) -> list[Tensor]:
    """Two steps: rank 0 hands out parameters of seeds 3 and 4, and keeps what comes back."""
    model, came = make_model(seed=node.rank, hidden=6), []
    for seed in (3, 4):
        if node.rank:
            answer(node, model, given)
            continue
        pull = node.isend(parameters(make_model(seed=seed, hidden=6)), 1)
        box = torch.empty_like(parameters(model))
        node.recv(box, 1)
        pull.wait()
        came.append(box)
    return came


def _check_once(answer: Answer) -> str:
    for count in (1, 3):
        given = small_batches(count, seed=count)
        history = served("the server answers one pull and waits for one push a step", _once, 2, answer, given)
        stale = make_model(seed=1, hidden=6)  # what the worker has before its first pull
        for step, got in enumerate(history.results[0]):
            fresh = make_model(seed=step + 3, hidden=6)
            each = _gradients(fresh, given)
            mean = torch.stack(each).sum(0) / count
            old = torch.stack(_gradients(stale, given)).sum(0) / count
            likely = [
                (f"in step {step} you push the gradient at parameters from before the pull: pull first", old),
                ("you push the parameters: the server wants the gradient", parameters(fresh)),
            ]
            if count > 1:
                likely += [
                    (f"you push the sum over {count} batches: the mean was asked, {count} times less",
                     count * mean),
                    ("you push the last batch's gradient alone: add the others", each[-1]),
                    ("you push the first batch's gradient alone: add the others", each[0]),
                ]  # fmt: skip
            compare(got, mean, f"what the server gets in step {step}", *likely)
            stale = fresh
    return "1 and 3 batches a step, two steps: one pull, one push, the mean gradient at fresh parameters"


once = Exercise(
    key="06.once",
    title="Pull once, push once",
    difficulty=1,
    minutes=6,
    reference=_accumulating_worker,
    check=_check_once,
    hints=(
        "Four things in a row: pull, then forward and backward for each batch, then push.",
        "`node.recv(lab.parameters(model), 0)` writes straight into the model.",
        "Add the gradients in a tensor that begins as `torch.zeros_like(lab.parameters(model))`, and send "
        "it divided by `len(batches)`.",
    ),
)
