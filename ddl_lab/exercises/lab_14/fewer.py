"""A step on fewer nodes that is the same step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...node.node import Node
from ..helpers import Answer, Wrong, no_more_traffic, on_nodes, same_shape
from ..machine import Exercise
from ..mistakes import near
from ..values import NO_RETURN

P = 24
X = torch.randn(200, P, generator=torch.Generator().manual_seed(5))
Y = torch.randn(200, generator=torch.Generator().manual_seed(6))
THETA = torch.linspace(-1, 1, P)
ROWS = torch.randperm(200, generator=torch.Generator().manual_seed(7))


def _step(node, mean_gradient, theta, rows, seen, batch, lr):  # type: ignore[no-untyped-def]
    step = rows[seen : seen + batch]  # of all nodes; the last one of an epoch is smaller
    mine = step[node.rank :: node.world_size]
    gradient = mean_gradient(theta, mine) * len(mine)
    node.all_reduce(gradient, op="sum")
    return theta - lr * gradient / len(step)


def _mean_gradient(theta: Tensor, rows: Tensor) -> Tensor:
    """Of least squares over these rows."""
    if len(rows) == 0:
        raise ValueError("mean_gradient of no row: each node needs one at least")
    off = X[rows] @ theta - Y[rows]
    return off @ X[rows] / len(rows)


def _worker(node: Node, answer: Answer, seen: int, batch: int, lr: float) -> Any:
    theta, rows, taken = THETA.clone(), ROWS.clone(), 0

    def counted(theta: Tensor, rows: Tensor) -> Tensor:
        nonlocal taken
        taken += len(rows)
        return _mean_gradient(theta, rows)

    got = answer(node, counted, theta, rows, seen, batch, lr)
    return got, torch.equal(theta, THETA) and torch.equal(rows, ROWS), taken


# nodes, rows seen, batch, learning rate; of 8 rows five nodes take 2, 2, 2, 1 and 1: no share is empty
CASES = (
    (4, 0, 64, 0.1), (3, 64, 64, 0.1), (2, 128, 64, 0.1), (3, 192, 64, 0.1), (1, 64, 32, 0.1),
    (7, 30, 50, 0.03), (5, 192, 64, 0.2),
)  # fmt: skip


def _check_fewer(answer: Answer) -> str:
    for nodes, seen, batch, lr in CASES:
        history = on_nodes(_worker, nodes, answer, seen, batch, lr)
        right = _asked(ROWS[seen : seen + batch], lr)
        told = f"{nodes} node{'s' * (nodes > 1)}, {seen} rows seen, a batch of {batch}"
        for got, *_ in history.results:
            if got is None:
                raise Wrong(f"what your function returns {NO_RETURN}")
            same_shape(got, THETA, f"{told}: theta")
            if not near(got - THETA, right - THETA):
                _name_the_fault(got, told, nodes, seen, batch, lr)
        if not all(untouched for _, untouched, _ in history.results):
            raise Wrong("your function changes theta or rows: return a new theta")
        taken, size = sum(rows for *_, rows in history.results), len(ROWS[seen : seen + batch])
        if taken > size:
            raise Wrong(f"{told}: the nodes take {taken} rows together, of {size}: share them, each row once")
        reference = on_nodes(_worker, nodes, _step, seen, batch, lr)
        no_more_traffic(
            history, reference, "one all-reduce of the gradient does, a few numbers beside it", 64
        )
    return "1 to 7 nodes, shares that differ by one, the smaller last batch of an epoch"


def _asked(rows: Tensor, lr: float) -> Tensor:
    return THETA - lr * _mean_gradient(THETA, rows)


def _name_the_fault(got: Tensor, told: str, nodes: int, seen: int, batch: int, lr: float) -> None:
    rows, batch_after = ROWS[seen : seen + batch], ROWS[seen : seen + batch * nodes]
    shares, size = [rows[rank::nodes] for rank in range(nodes)], len(rows)
    plain, of_blocks = (
        sum(_mean_gradient(THETA, part) for part in cut) / nodes
        for cut in (shares, torch.tensor_split(rows, nodes))
    )
    total, alike = (
        _mean_gradient(THETA, rows) * size,
        "shares differ by one, and a plain mean counts them alike",
    )
    again = "the batch starts at the epoch's beginning: rows that were seen come a second time"
    likely = [
        (again, _asked(ROWS[:batch], lr)),
        (f"{alike}: weigh each by its rows", THETA - lr * plain),
        (f"{alike}: weigh each by its rows", THETA - lr * of_blocks),
        ("the sum of all ranks' mean gradients: divide by the rows of the step", THETA - lr * plain * nodes),
        ("the sum of all rows' gradients: the mean was asked", THETA - lr * total),
        ("rows are left over where the batch doesn't divide by the nodes: nobody takes them",
         _asked(rows[: batch // nodes * nodes], lr)),
        ("divide by the rows of the step: the last one of an epoch has fewer than batch",
         THETA - lr * total / batch),
        ("every rank takes a whole batch: it is the batch of all nodes together", _asked(batch_after, lr)),
        ("the step goes uphill: subtract", THETA + lr * total / size),
        ("the learning rate is lr, whatever it was before", THETA - 0.1 * total / size),
    ]  # fmt: skip
    for words, wrong in likely:
        if near(got - THETA, wrong - THETA):
            raise Wrong(f"{told}: {words}")
    if any(near(got - THETA, _asked(share, lr) - THETA) for share in shares):
        raise Wrong(f"{told}: that is one rank's step: all_reduce the gradients")
    raise Wrong(f"{told}: theta isn't where one node's step over the same {size} rows leads")


fewer = Exercise(
    key="14.fewer",
    title="The same step on fewer nodes",
    difficulty=2,
    minutes=10,
    reference=_step,
    check=_check_fewer,
    hints=(
        "The step's rows are rows[seen : seen + batch], however many nodes there are.",
        "Rank r may take every n-th of them, from the r-th on. Some ranks have one more.",
        "Multiply each mean by its number of rows, add up with op='sum', divide by len of the step's rows.",
    ),
)
