"""How busy a geometric cluster is that waits for its slowest."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import check_number
from ..values import number


def _utilisation(alpha: float, nodes: int) -> float:
    speeds = [alpha**i for i in range(nodes)]
    slowest = min(speeds)  # everyone waits for this one, whichever end it is at
    return sum(slowest / speed for speed in speeds) / nodes


def _check_utilisation(answer: Answer) -> str:
    for alpha, nodes in ((0.85, 8), (0.5, 2), (0.9, 1), (1.0, 4), (1.25, 3)):
        case, right = f"alpha = {alpha}, {nodes} nodes", _utilisation(alpha, nodes)
        speeds = [alpha**i for i in range(nodes)]
        try:
            got = number(call(answer, alpha, nodes), f"{case}: the utilisation")
        except ZeroDivisionError:
            got = math.nan
        if math.isnan(got):
            raise Wrong(f"{case}: the closed form divides 0 by 0 there. Add the powers up instead")
        check_number(
            got, right, f"{case}: the utilisation",
            ("you added the busy shares of all nodes, and their mean was asked", nodes * right),
            ("that is in percent, and a share between 0 and 1 was asked", 100 * right),
            ("that is the share of time spent waiting, and the busy share was asked", 1 - right),
            ("a share of the samples/s; the busy share of time was asked", nodes * min(speeds) / sum(speeds)),
            ("so busy is the node that waits longest; the mean was asked", min(speeds) / max(speeds)),
            ("with alpha above 1 the slowest node is rank 0", sum(speeds) / nodes),
        )  # fmt: skip
    return "slower and faster from rank to rank, all equal, and one node"


utilisation = Exercise(
    key="03.utilisation",
    title="How busy a geometric cluster is",
    difficulty=2,
    minutes=6,
    reference=_utilisation,
    check=_check_utilisation,
    hints=(
        "A step lasts as long as the slowest node computes; the others are busy for a part of it.",
        "Node i is busy for min(speeds) / (its speed) of it; alpha above 1 puts the slowest first.",
    ),
)
