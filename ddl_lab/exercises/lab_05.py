"""Lab 05, synchronous data parallelism: six exercises, from a common start to a sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ..errors import DeadlockError
from ..history.history import History
from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient, make_model, parameters, sgd_step
from .lab_05_numbers import wait, warm
from .lab_05_rows import deal
from .machine import Exercise, Wrong, on_nodes
from .mistakes import compare

__all__ = ["deal", "sparing", "start", "uneven", "wait", "warm"]

Tensor = torch.Tensor
Answer = Callable[..., Any]
COUNTS = (320, 40, 20, 20)
HIDDEN = 6  # units: a check compares many models


def _met(worker: Answer, nodes: int, *args: Any) -> History:
    """``on_nodes``, where a deadlock means that the ranks don't make equally many calls."""
    try:
        return on_nodes(worker, nodes, *args)
    except DeadlockError as error:
        raise Wrong(f"every rank must make the same calls of the node; yours don't:\n{error}") from None


def _exchanges(got: History, ours: History, advice: str) -> None:
    """Raise ``Wrong`` where a rank sends more than in ``ours``."""
    for unit in ("messages", "bytes"):
        sent, enough = (max(getattr(run, f"{unit}_sent")) for run in (got, ours))
        if sent > enough:
            raise Wrong(
                f"the numbers are right, but a rank sends {sent:,} {unit} where {enough:,} would do: {advice}"
            )


# 05.start


def _same_start(node, model):  # type: ignore[no-untyped-def]
    node.broadcast(parameters(model), src=0)


def _started(node: Node, answer: Answer) -> Tensor:
    model = make_model(seed=node.rank, hidden=HIDDEN)
    answer(node, model)
    return parameters(model).clone()


def _check_start(answer: Answer) -> str:
    for nodes in (1, 4):
        drawn = [parameters(make_model(seed=rank, hidden=HIDDEN)) for rank in range(nodes)]
        got, mean = _met(_started, nodes, answer), torch.stack(drawn).mean(0)
        for rank, flat in enumerate(got.results):
            likely = [
                ("the mean of all ranks' models: it is one start, but rank 0's was asked", mean),
                ("the sum of all ranks' models: rank 0's was asked", mean * nodes),
                (f"the last rank's, {nodes - 1}'s: rank 0's was asked", drawn[-1]),
            ]
            if rank:
                kept = f"rank {rank} still has its own model: what came must be written into the model itself"
                likely.append((kept, drawn[rank]))
            compare(flat, drawn[0], f"on {nodes} nodes, rank {rank}'s model", *likely)
        _exchanges(got, _met(_started, nodes, _same_start),
                   "lab.parameters(model) is the whole model: send it in one node.broadcast")  # fmt: skip
    return "1 and 4 nodes: rank 0's parameters everywhere, in one exchange"


start = Exercise(
    key="05.start",
    title="One start for all",
    difficulty=1,
    minutes=5,
    reference=_same_start,
    check=_check_start,
    hints=(
        "lab.parameters(model) is one flat tensor, and writing to it changes the model.",
        "Which collective gives every rank what one rank has? It works in place.",
        "node.broadcast(…, src=0), on the flat tensor itself, not on a clone of it.",
    ),
)


# 05.uneven


def _weighted_mean(node, gradient, samples):  # type: ignore[no-untyped-def]
    sums = torch.cat([samples * gradient, torch.tensor([float(samples)])])  # (P + 1,)
    node.all_reduce(sums, op="sum")
    return sums[:-1] / sums[-1]


def _uneven(node: Node, answer: Answer, gradients: Sequence[Tensor]) -> Any:
    return answer(node, gradients[node.rank].clone(), COUNTS[node.rank])


def _check_uneven(answer: Answer) -> str:
    nodes, total = len(COUNTS), sum(COUNTS)
    drawn = torch.Generator().manual_seed(5)
    stack = torch.randn(nodes, 1000, generator=drawn)
    counts = torch.tensor(COUNTS)[:, None]
    right = (counts * stack).sum(0) / total
    history = _met(_uneven, nodes, answer, list(stack))
    for rank, got in enumerate(history.results):
        if isinstance(got, Tensor) and tuple(got.shape) == (1001,):
            raise Wrong(
                "your result has 1,001 entries: the last one is the count; it was only to travel along"
            )
        likely = [
            ("the plain mean: a digit of the smallest shard counts as 16 of the largest", stack.mean(0)),
            ("the sum over ranks: a mean was asked", stack.sum(0)),
            (f"divide by the {total} samples of all ranks", right * total),
            (f"you divided by the {nodes} nodes; divide by the {total} samples", right * total / nodes),
            (f"you divided by this rank's {COUNTS[rank]} samples; divide by those of all",
             right * total / COUNTS[rank]),
            ("what you added up isn't weighted: multiply by samples first", stack.sum(0) / total),
        ]  # fmt: skip
        compare(got, right, f"rank {rank}'s result", *likely)
    _exchanges(history, _met(_uneven, nodes, _weighted_mean, list(stack)),
               "let the count travel behind the gradient, in one tensor")  # fmt: skip
    return f"the mean over {total} samples on 4 unequal ranks, in one all-reduce"


uneven = Exercise(
    key="05.uneven",
    title="Unequal shards in one exchange",
    difficulty=2,
    minutes=10,
    reference=_weighted_mean,
    check=_check_uneven,
    hints=(
        "The mean is a sum over all samples, divided by how many there are. Both are sums over ranks.",
        "torch.cat([samples * gradient, torch.tensor([float(samples)])]) has both in it.",
        "After an all-reduce with op='sum', divide all entries but the last by the last.",
    ),
)


# 05.sparing


def _accumulated_step(node, model, batches, lr):  # type: ignore[no-untyped-def]
    total = torch.zeros_like(parameters(model))
    for x, y in batches:
        total += gradient(bce_with_logits(model(x), y), model)
    total /= len(batches)
    node.all_reduce(total, op="mean")
    sgd_step(model, total, lr)


def _given(rank: int, count: int) -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(rank)
    return [
        (torch.rand(4, 784, generator=drawn), torch.randint(2, (4, 1), generator=drawn).float())
        for _ in range(count)
    ]


def _stepped(node: Node, answer: Answer, count: int) -> Tensor:
    model = make_model(seed=1, hidden=HIDDEN)
    before = parameters(model).clone()
    answer(node, model, _given(node.rank, count), 0.5)
    return parameters(model) - before


def _moves(model: nn.Module, given: list[tuple[Tensor, Tensor]]) -> Tensor:
    """-lr times each batch's gradient, (batches, P)."""
    return -0.5 * torch.stack([gradient(bce_with_logits(model(x), y), model) for x, y in given])


def _check_sparing(answer: Answer) -> str:
    model = make_model(seed=1, hidden=HIDDEN)
    for nodes, count in ((1, 3), (4, 1), (4, 3)):
        moves = torch.stack([_moves(model, _given(rank, count)) for rank in range(nodes)])
        right, history = moves.mean((0, 1)), _met(_stepped, nodes, answer, count)
        for rank, moved in enumerate(history.results):
            likely = [
                ("the model hasn't moved: is there an lab.sgd_step?", torch.zeros_like(right)),
                (f"{count} times too far: the mean over the {count} batches was asked", right * count),
                (f"{nodes} times too far: the mean over the {nodes} ranks was asked", right * nodes),
                (f"{nodes * count} times too far: sums over batches and ranks, where means were asked",
                 right * nodes * count),
                ("it is this rank's own gradient alone: nothing came from the others", moves[rank].mean(0)),
                ("only the last batch counts: add the gradients up", moves[:, -1].mean(0)),
                ("it is downhill that was asked, and this is uphill", -right),
            ]  # fmt: skip
            compare(moved, right, f"{nodes} nodes, {count} batches: rank {rank}'s way", *likely)
        _exchanges(history, _met(_stepped, nodes, _accumulated_step, count),
                   "add up all batches first, and exchange once")  # fmt: skip
    return "1 and 4 nodes, 1 and 3 batches: the mean over all, one exchange a step"


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
