"""One start for all: rank 0's parameters on every rank."""

from __future__ import annotations

import torch
from torch import Tensor

from ...counted import counted
from ...node.node import Node
from ...training.model import make_model, parameters
from ..helpers import Answer
from ..machine import Exercise
from ..mistakes import compare
from .shared import HIDDEN, met, one_exchange


def _same_start(node, model):  # type: ignore[no-untyped-def]
    node.broadcast(parameters(model), src=0)


SEED = 30  # rank 0's: nobody can guess it


def _started(node: Node, answer: Answer) -> Tensor:
    model = make_model(seed=SEED + node.rank, hidden=HIDDEN)
    answer(node, model)
    return parameters(model).clone()


def _check_start(answer: Answer) -> str:
    for nodes in (1, 4):
        drawn = [parameters(make_model(seed=SEED + rank, hidden=HIDDEN)) for rank in range(nodes)]
        got, mean = met(_started, nodes, answer), torch.stack(drawn).mean(0)
        for rank, flat in enumerate(got.results):
            likely = [
                ("the mean of all ranks' models: it is one start, but rank 0's was asked", mean),
                ("the sum of all ranks' models: rank 0's was asked", mean * nodes),
                (f"the last rank's, {nodes - 1}'s: rank 0's was asked", drawn[-1]),
            ]
            if rank:
                missing = "what came must be written into the model itself"
                if not any(got.messages_sent):
                    missing = "nothing was sent, and rank 0's was asked"
                kept = f"rank {rank} still has its own model: {missing}"
                likely.append((kept, drawn[rank]))
            compare(flat, drawn[0], f"on {counted(nodes, 'node')}, rank {rank}'s model", *likely)
        one_exchange(got, "lab.parameters(model) is the whole model: send it in one node.broadcast")
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
