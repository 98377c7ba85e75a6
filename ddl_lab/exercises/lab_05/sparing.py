"""One step from several batches: add up first, exchange once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...counted import counted
from ...node.node import Node
from ...training.loss import bce_with_logits
from ...training.model import gradient, make_model, parameters, sgd_step
from ..drawn import small_batches
from ..helpers import Answer
from ..machine import Exercise
from ..mistakes import compare
from .shared import HIDDEN, met, one_exchange

Batches = list[tuple[Tensor, Tensor]]


def _accumulated_step(node, model, batches, lr):  # type: ignore[no-untyped-def]
    total = torch.zeros_like(parameters(model))
    for x, y in batches:
        total += gradient(bce_with_logits(model(x), y), model)
    total /= len(batches)
    node.all_reduce(total, op="mean")
    sgd_step(model, total, lr)


def _stepped(node: Node, answer: Answer, count: int, lr: float) -> Tensor:
    model = make_model(seed=1, hidden=HIDDEN)
    before = parameters(model).clone()
    answer(node, model, small_batches(count, seed=node.rank), lr)
    return parameters(model) - before


def _moves(model: nn.Module, given: Batches, lr: float) -> Tensor:
    """-lr times each batch's gradient, (batches, P)."""
    return -lr * torch.stack([gradient(bce_with_logits(model(x), y), model) for x, y in given])


def _a_step_a_batch(node: Node, model: nn.Module, batches: Batches, lr: float) -> None:
    for x, y in batches:
        slope = gradient(bce_with_logits(model(x), y), model)
        node.all_reduce(slope, op="mean")
        sgd_step(model, slope, lr)


def _steps_alone(node: Node, model: nn.Module, batches: Batches, lr: float) -> None:
    for x, y in batches:
        sgd_step(model, gradient(bce_with_logits(model(x), y), model), lr)


def _then_averaged(node: Node, model: nn.Module, batches: Batches, lr: float) -> None:
    _steps_alone(node, model, batches, lr)
    node.all_reduce(parameters(model), op="mean")


_TELLS = (
    "a step after every batch, so that each begins where the last one ended: add the gradients up, step once"
)
STEPPING: list[tuple[str, Answer]] = [
    (_TELLS, _a_step_a_batch),
    (f"{_TELLS}. And nothing came from the others", _steps_alone),
    (f"{_TELLS}. The mean of the parameters doesn't make up for it", _then_averaged),
]


def _check_sparing(answer: Answer) -> str:
    model = make_model(seed=1, hidden=HIDDEN)
    for nodes, count, lr in ((1, 3, 0.5), (4, 1, 0.5), (3, 2, 0.2)):
        moves = torch.stack([_moves(model, small_batches(count, seed=rank), lr) for rank in range(nodes)])
        right, history = moves.mean((0, 1)), met(_stepped, nodes, answer, count, lr)
        stepping = [(words, met(_stepped, nodes, worker, count, lr).results) for words, worker in STEPPING]
        for rank, moved in enumerate(history.results):
            likely = [
                ("the model hasn't moved: is there a lab.sgd_step on this very model?", 0 * right),
                (f"{count} times too far: the mean over the {count} batches was asked", right * count),
                (f"{nodes} times too far: the mean over the {nodes} ranks was asked", right * nodes),
                (f"{nodes * count} times too far: sums over batches and ranks, where means were asked",
                 right * nodes * count),
                ("it is this rank's own gradient alone: what the others have isn't in it",
                 moves[rank].mean(0)),
                ("only the last batch counts: add the gradients up", moves[:, -1].mean(0)),
                ("it is downhill that was asked, and this is uphill", -right),
            ]  # fmt: skip
            likely += [(words, wrong[rank]) for words, wrong in stepping]
            compare(
                moved,
                right,
                f"{counted(nodes, 'node')}, {counted(count, 'batch', 'batches')}: rank {rank}'s way",
                *likely,
            )
        one_exchange(history, "add up all batches first, and exchange once")
    return "1, 3 and 4 nodes, 1 to 3 batches, two rates: the mean over all, one exchange a step"


sparing = Exercise(
    key="05.sparing",
    title="One step from several batches",
    difficulty=2,
    minutes=10,
    reference=_accumulated_step,
    check=_check_sparing,
    hints=(
        "Begin with torch.zeros_like(lab.parameters(model)) and add each batch's gradient to it.",
        "lab.gradient(lab.bce_with_logits(model(x), y), model) is one flat tensor (P,).",
        "Divide by len(batches), all-reduce with op='mean', then one lab.sgd_step.",
    ),
)
