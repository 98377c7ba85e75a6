"""The slowest requests: how long all but a share of them take at most."""

from __future__ import annotations

import math

import torch

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number

CASES = (
    ([[10.0] * 90 + [50.0] * 10, [11.0] * 100, [500.0] * 4, [12.0] * 96], 0.99),
    ([[4.0, 2.0], [7.0, 9.0]], 0.25),
    ([[3.0, 1.0, 2.0], [9.0, 8.0], [7.5]], 0.5),
    ([[3.0, 1.0, 2.0], [9.0, 8.0], [7.5]], 0.95),
    ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], 0.4),
    ([[2.0, 9.0, 9.0], [9.0, 4.0]], 0.5),  # equal ones are requests, too
    ([[1.0, 5.0, 6.0], [5.0, 5.0, 9.0]], 0.5),
)


def _tail(latencies, share):  # type: ignore[no-untyped-def]
    together = sorted(ms for client in latencies for ms in client)
    return together[math.ceil(share * len(together)) - 1]


def _mean_of(each: list[float]) -> float:
    return sum(each) / len(each)


def _check_tail(answer: Answer) -> str:
    for latencies, share in CASES:
        clients = [_tail([client], share) for client in latencies]
        together = sorted(ms for client in latencies for ms in client)
        smooth = float(torch.tensor(together, dtype=torch.float64).quantile(share))
        own = [float(torch.tensor(one, dtype=torch.float64).quantile(share)) for one in latencies]
        place = min(int(share * len(together)), len(together) - 1)
        check_number(
            call(answer, latencies, share), _tail(latencies, share),
            f"{share:.0%} of {len(together)} requests of {len(latencies)} clients: your number",
            ("a mean of what each client sees: few slow requests of one client weigh as much as many of "
             "another. Put all requests together first", _mean_of(clients)),
            ("a mean of what each client sees: put all requests together first", _mean_of(own)),
            ("that is the worst client's: put all requests together first", max(clients)),
            ("that is the slowest of all", together[-1]),
            ("that is the mean: it hides the slow ones", _mean_of(together)),
            ("you sorted the slowest first: that many are *slower*, and should be no slower",
             together[::-1][math.ceil(share * len(together)) - 1]),
            ("you count equal latencies once: each is a request", _tail([list(set(together))], share)),
            ("rounded to the nearest: *at least* the share must be no slower, so round up",
             together[max(0, round(share * len(together)) - 1)]),
            ("that lies between two requests: it should be one that was measured", smooth),
            ("one too far: of 4 requests the first is a quarter already", together[place]),
        )  # fmt: skip
    return "four clients with a few very slow requests, and few requests"


tail = Exercise(
    key="15.tail",
    title="The slowest requests",
    difficulty=1,
    minutes=5,
    reference=_tail,
    check=_check_tail,
    hints=(
        "First all requests of all clients in one list, sorted.",
        "Of n requests ⌈share · n⌉ must be no slower than your number.",
        "In a sorted list that is number ⌈share · n⌉, and lists count from 0.",
    ),
)
