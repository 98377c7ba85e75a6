"""Pull once, push once: a worker's round with several batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...errors import LabError
from ...history.history import History
from ...node.node import Node
from ...training.loss import bce_with_logits
from ...training.model import gradient, make_model, parameters
from ..drawn import small_batches
from ..helpers import Answer, Wrong, on_nodes
from ..machine import Exercise
from ..mistakes import compare, near
from .shared import served

Batches = list[tuple[Tensor, Tensor]]
HIDDEN = 6  # units: a check compares many models


def _accumulating_worker(node, model, batches):  # type: ignore[no-untyped-def]
    node.recv(parameters(model), 0)
    total = torch.zeros_like(parameters(model))
    for x, y in batches:
        total += gradient(bce_with_logits(model(x), y), model)
    node.send(total / len(batches), 0)


def _gradients(model: Any, given: Batches) -> list[Tensor]:
    return [gradient(bce_with_logits(model(x), y), model) for x, y in given]


def _once(node: Node, answer: Answer, given: Batches, pulls: int, pushes: int) -> list[Tensor]:
    """Two steps: rank 0 hands out parameters of seeds 3 and 4, so often, and keeps what comes back.

    Rank 1 returns what is in its model after the first step.
    """
    model, came = make_model(seed=node.rank, hidden=HIDDEN), []
    for seed in (3, 4):
        if node.rank:
            answer(node, model, given)
            came.append(parameters(model).clone())
            continue
        for turn in range(pushes):
            if turn < pulls:
                pull = node.isend(parameters(make_model(seed=seed, hidden=HIDDEN)), 1)
            box = torch.empty_like(parameters(model))
            node.recv(box, 1)
            came.append(box)
            pull.wait()
    return came


def _check_once(answer: Answer) -> str:
    for count in (1, 3):
        given = small_batches(count, seed=count)
        history = _asked_once(answer, given)
        own = stale = make_model(seed=1, hidden=HIDDEN)  # what the worker has before its first pull
        for step, got in enumerate(history.results[0]):
            fresh = make_model(seed=step + 3, hidden=HIDDEN)
            mean = torch.stack(_gradients(fresh, given)).mean(0)
            likely = _known(step, count, fresh, stale, given)
            moved = history.results[1][step]
            if not any(near(got, wrong) for _, wrong in likely):
                _check_model(step, moved, parameters(fresh), parameters(own))
            compare(got, mean, f"what the server gets in step {step}", *likely)
            stale = fresh
    return "1 and 3 batches a step, two steps: one pull, one push, the mean gradient at fresh parameters"


def _asked_once(answer: Answer, given: Batches) -> History:
    """The run; where it gets stuck, try whether a pull or a push for each batch is what was meant."""
    try:
        return served(
            "the server answers one pull and waits for one push a step", _once, 2, answer, given, 1, 1
        )
    except Wrong:
        many = len(given)
        for pulls, words in ((many, "pull and push for every batch"), (1, "push after every batch")):
            if many > 1 and _ends(answer, given, pulls):
                raise Wrong(
                    f"you {words}, {many} messages where one was asked: pull once, push the mean of "
                    "all gradients once"
                ) from None
        raise


def _ends(answer: Answer, given: Batches, pulls: int) -> bool:
    try:
        on_nodes(_once, 2, answer, given, pulls, len(given))
    except LabError:
        return False
    return True


def _check_model(step: int, got: Tensor, pulled: Tensor, untouched: Tensor) -> None:
    """After the push, too: who steps once more has another model than the server's until the next pull."""
    if not near(got, pulled) and not near(got, untouched):
        raise Wrong(
            f"in step {step} the model has moved from what you pulled: only the server steps, and all "
            "gradients were asked at the pulled parameters"
        )


def _known(step: int, count: int, fresh: Any, stale: Any, given: Batches) -> list[tuple[str, Tensor]]:
    """Words for likely mistakes, and what the server gets from each."""
    each, old = _gradients(fresh, given), torch.stack(_gradients(stale, given)).mean(0)
    known = [
        (f"in step {step} you push the gradient at parameters from before the pull: pull first", old),
        ("you push the parameters: the server wants the gradient", parameters(fresh)),
        ("you push the gradient with a minus: the server subtracts it", -torch.stack(each).mean(0)),
    ]
    if count == 1:
        return known
    return [
        *known,
        (f"you push the sum over {count} batches: the mean was asked, {count} times less",
         torch.stack(each).sum(0)),
        ("you push the last batch's gradient alone: add the others", each[-1]),
        ("you push the first batch's gradient alone: add the others", each[0]),
    ]  # fmt: skip


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
