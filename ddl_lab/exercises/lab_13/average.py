"""Local steps, and an average now and then."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...counted import counted
from ...history.history import History
from ...node.node import Node
from ..helpers import Answer, Wrong, close, on_nodes, same_shape
from ..machine import Exercise

LR = {1: 0.25, 2: 0.2, 3: 0.25}  # by the count of nodes


def _local_steps_of(node, theta, gradient_at, steps, every, lr):  # type: ignore[no-untyped-def]
    for step in range(1, steps + 1):
        theta = theta - lr * gradient_at(theta)
        if step % every == 0 or step == steps:
            node.all_reduce(theta, op="mean")
    return theta


def slopes(node: Node) -> Callable[[Tensor], Tensor]:
    """The gradient of this rank's own valley, elsewhere than the others' and less or more steep."""
    steep = 0.5 + node.rank
    return lambda theta: steep * (theta - 2.0 * node.rank)


def _worker(node: Node, answer: Answer, steps: int, every: int) -> Tensor:
    got: Tensor = answer(
        node, torch.tensor([1.0, -3.0, 0.5]), slopes(node), steps, every, LR[node.world_size]
    )
    return got


def _check_average(answer: Answer) -> str:
    for nodes, steps, every in ((1, 4, 2), (3, 6, 2), (2, 7, 3), (3, 5, 1), (2, 3, 5), (2, 2, 2)):
        told = f"{counted(nodes, 'node')}, {steps} steps, an average every {every}"
        right = on_nodes(_worker, nodes, _local_steps_of, steps, every)
        got = on_nodes(_worker, nodes, answer, steps, every)
        for rank, theta in enumerate(got.results):
            same_shape(theta, (3,), f"{told}: rank {rank}'s theta")
            theta = theta.float()  # whoever computes in double is right, too
            if not torch.allclose(theta, right.results[rank], atol=1e-5):
                _name_the_fault(theta, right.results[rank], told, (nodes, steps, every, rank))
        _check_messages(got, right, told)
    return "1 to 3 nodes, with averages every 1, 2, 3 and 5 steps, and one at the end"


def _check_messages(got: History, right: History, told: str) -> None:
    for rank, (sent, asked) in enumerate(zip(got.bytes_sent, right.bytes_sent, strict=True)):
        if sent > 1.5 * asked:
            raise Wrong(
                f"{told}: the numbers are right, but rank {rank} sends {sent:,} bytes where {asked:,} do: "
                "nothing travels before averages and between them, nor twice at the end, nor in double"
            )


def _name_the_fault(got: Tensor, right: Tensor, told: str, case: tuple[int, int, int, int]) -> None:
    nodes, steps, every, rank = case
    for words, fault in FAULTS.items():
        wrong = on_nodes(_worker, nodes, fault, steps, every).results[rank]
        if torch.allclose(got, wrong, rtol=1e-4, atol=1e-4):
            raise Wrong(f"{told}: {words}")
    close(got, right, f"{told}: rank {rank}'s theta", rtol=1e-4)


def _fault(
    when: Callable[[int, int, int], bool] = lambda step, every, steps: step % every == 0 or step == steps,
    op: str = "mean",
    gradients: bool = False,
) -> Answer:
    def answer(
        node: Node, theta: Tensor, gradient_at: Callable[[Tensor], Tensor], steps: int, every: int, lr: float
    ) -> Tensor:
        for step in range(1, steps + 1):
            due = when(step, every, steps)
            gradient = gradient_at(theta)
            if gradients and due:
                node.all_reduce(gradient, op=op)
            theta = theta - lr * gradient
            if due and not gradients:
                node.all_reduce(theta, op=op)
        return theta

    return answer


FAULTS: dict[str, Answer] = {
    "at the end ranks have different parameters: one more average after the last step": _fault(
        lambda step, every, steps: step % every == 0
    ),
    "you average a step too early: before the every-th step, or after the first of each period, as "
    "`step % every == 0` does when step begins at 0": _fault(
        lambda step, every, steps: (step - 1) % every == 0
    ),
    "you average after the first step of each period, and at the end: a step too early": _fault(
        lambda step, every, steps: (step - 1) % every == 0 or step == steps
    ),
    "you average after every step: between averages each rank goes its own way": _fault(
        lambda step, every, steps: True
    ),
    "you average at the end alone": _fault(lambda step, every, steps: step == steps),
    "no other rank's parameters come in: this one ends where it would alone": _fault(
        lambda step, every, steps: False
    ),
    "you add the parameters up: their mean was asked": _fault(op="sum"),
    "it is the gradients that you average now and then; parameters drift apart so": _fault(gradients=True),
}


average = Exercise(
    key="13.average",
    title="Local steps, and an average now and then",
    difficulty=1,
    minutes=7,
    reference=_local_steps_of,
    check=_check_average,
    hints=(
        "Each rank steps by its own gradient, at its own parameters: nothing is exchanged for that.",
        "After steps every, 2 · every, … all ranks average theta; count steps from 1.",
        "`if step % every == 0 or step == steps: node.all_reduce(theta, op='mean')`, after the step.",
    ),
)
