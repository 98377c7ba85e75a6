"""Where FedAvg comes to rest."""

from __future__ import annotations

from ...counted import counted
from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import check_number
from ..values import number


def _rest(a, b, lr, steps):  # type: ignore[no-untyped-def]
    w = [1 - (1 - lr * curve) ** steps for curve in a]  # how much of its way to b a client goes
    return sum(part * goal for part, goal in zip(w, b, strict=True)) / sum(w)


CASES = (
    ([1.0, 4.0], [1.0, -1.0], 0.1, 20),
    ([1.0, 4.0], [1.0, -1.0], 0.1, 1),
    ([0.5, 2.0, 3.0], [-2.0, 4.0, 1.0], 0.2, 3),
    ([1.0, 1.5, 6.0, 0.2], [0.0, 2.0, -3.0, 10.0], 0.05, 7),
)


def _check_drift(answer: Answer) -> str:
    for a, b, lr, steps in CASES:
        got = number(call(answer, a, b, lr, steps), "where it rests")
        best, told = _mean(a, b), f"a = {a}, b = {b}, lr = {lr:g}, {counted(steps, 'local step')}"
        if steps > 1 and abs(got - best) < 1e-9:
            raise Wrong(
                f"{told}: {got:.4g} is the minimum of the mean loss. That is "
                "where one step a round leads; with more, each client goes most of its way before it is asked"
            )
        shrunk = [(1 - lr * curve) ** steps for curve in a]
        total = sum((1 - s) * goal for s, goal in zip(shrunk, b, strict=True))
        check_number(
            got, _rest(a, b, lr, steps), f"{told}: where it rests",
            ("that is the mean of the clients' minima, where very many local steps lead", sum(b) / len(b)),
            ("the weights are what is *left* of the way after the steps: take 1 − that", _mean(shrunk, b)),
            ("that is the sum: divide by the weights", total),
            ("you divide by the number of clients, not by the sum of the weights",
             total / len(b)),
            ("as if each step went the same way, lr · a · steps: the way that is left shrinks with each one",
             _mean([lr * curve * steps for curve in a], b)),
            ("one step's weights, whatever the number of steps", best),
            ("its sign", -_rest(a, b, lr, steps)),
            rtol=1e-3,
        )  # fmt: skip
    return "two, three and four clients; 1, 3, 7 and 20 local steps"


def _mean(weights: list[float], goals: list[float]) -> float:
    return sum(w * goal for w, goal in zip(weights, goals, strict=True)) / sum(weights)


drift = Exercise(
    key="12.drift",
    title="Where FedAvg comes to rest",
    difficulty=1,
    minutes=6,
    reference=_rest,
    check=_check_drift,
    hints=(
        "A step takes x to x − lr · a (x − b): the distance to b is multiplied by 1 − lr · a.",
        "After all steps a client has gone the share w = 1 − (1 − lr · a)^steps of its way to b.",
        "At rest the mean of w (b − x) is 0. Solve for x: a mean of the b, by weights w.",
    ),
)
