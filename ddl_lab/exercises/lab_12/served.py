"""The server's part of a round."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare


def _new_parameters(theta, answers, rows):  # type: ignore[no-untyped-def]
    total = sum(rows[client] for client in answers)
    mean = sum(rows[client] / total * went for client, went in answers.items())
    return theta + mean


CASES = (  # rows of all clients, and who answered
    ({1: 200, 2: 300, 3: 600, 4: 100}, (1, 3)),
    ({1: 50, 2: 350, 3: 10}, (1, 2, 3)),
    ({1: 30, 2: 70, 3: 400, 4: 300, 5: 300}, (4,)),
    ({1: 30, 2: 70, 3: 400, 4: 300, 5: 310}, (2, 5)),
)


def _check_served(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(12)
    for rows, there in CASES:
        theta = torch.randn(5, generator=generator)
        answers = {client: torch.randn(5, generator=generator) for client in there}
        _compare(call(answer, theta, answers, rows), theta, answers, rows)
    return "one, two and three clients of three to five; unequal rows"


def _compare(got: object, theta: Tensor, answers: dict[int, Tensor], rows: dict[int, int]) -> None:
    weighted = sum(((rows[k] * went) for k, went in answers.items()), torch.zeros(5))
    total = sum(rows[k] for k in answers)
    told = f"of {len(rows)} clients, {len(answers)} answered: the new parameters"
    if got is not None and isinstance(got, tuple | list):
        raise Wrong("return one tensor, the new parameters")
    compare(
        got, theta + weighted / total, told,
        ("the clients count alike with you: one with three times the rows counts three times",
         theta + sum(answers.values()) / len(answers)),
        ("you divide by the rows of all clients: those who weren't asked have no share in this round, and "
         "the step comes out too short", theta + weighted / sum(rows.values())),
        ("you divide by the number of all clients: those who weren't asked have no share in this round",
         theta + sum(answers.values()) / len(rows)),
        ("that is how far the mean client went: the server starts from theta", weighted / total),
        ("you step backwards: the answers already say where to, theta + mean", theta - weighted / total),
        ("you add the steps up: the mean was asked", theta + sum(answers.values())),
        ("the steps count by rows, but nothing divides them by how many there are", theta + weighted),
        ("nothing has moved", theta),
    )  # fmt: skip


served = Exercise(
    key="12.served",
    title="The server's part of a round",
    difficulty=1,
    minutes=5,
    reference=_new_parameters,
    check=_check_served,
    hints=(
        "Who has more rows counts more; who didn't answer doesn't count at all.",
        "The weight of client k is rows[k] over the rows of all those in `answers`.",
        "`total = sum(rows[k] for k in answers)`; then theta and the sum of rows[k] / total · answers[k].",
    ),
)
