"""The busy share: what part of a run each rank computed, from the table of spans."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...history.history import History
from ...node.node import Node
from ...virtual.simulation import simulate
from ..helpers import Answer, Wrong, close
from ..machine import Exercise


def _busy(history: History) -> list[float]:
    """Of each rank, the share of the run's time in which it computed: a list of numbers from 0 to 1."""
    spans = history.spans[history.spans["kind"] == "compute"]
    took_s = (spans["end_s"] - spans["start_s"]).groupby(spans["rank"]).sum()
    return [float(took_s.get(rank, 0.0)) / history.elapsed_s for rank in range(history.nodes)]


def _uneven(node: Node) -> None:
    """Rank 0 doesn't compute, every other one more than the last, and all wait for all."""
    for _ in range(2):
        if node.rank:
            with node.compute(samples=100 * node.rank):
                pass
        node.barrier()


def _check_busy(answer: Answer) -> str:
    history = simulate(_uneven, 4)
    right, got = _busy(history), answer(history)
    if isinstance(got, torch.Tensor) or hasattr(got, "tolist"):
        got = got.tolist()
    if isinstance(got, dict) or not isinstance(got, Sequence):
        raise Wrong(f"a list with a number for each rank was asked; you return a {type(got).__name__}")
    if len(got) == 3:
        raise Wrong("your list has 3 numbers for 4 ranks: rank 0 computed nothing, and its share is 0")
    if len(got) != 4:
        raise Wrong(f"your list has {len(got)} numbers: there are 4 ranks")
    mine, ours = (torch.tensor([float(x) for x in values]) for values in (got, right))
    _name_the_share(mine, ours, history)
    close(mine, ours, "the list")
    return "four nodes of unequal work, one of which computes nothing"


def _name_the_share(mine: torch.Tensor, ours: torch.Tensor, history: History) -> None:
    spans = history.spans
    everything = ((spans["end_s"] - spans["start_s"]).groupby(spans["rank"]).sum()).tolist()
    known = {
        "these are seconds: divide by the run's, `history.elapsed_s`": ours * history.elapsed_s,
        "these are percent, 100 times too large: a share lies between 0 and 1": ours * 100,
        "these are shares of all computing, which add up to 1: divide by `history.elapsed_s`": ours
        / ours.sum(),
        "you counted every span, waiting too: only those whose kind is 'compute'": torch.tensor(everything)
        / history.elapsed_s,
        "these are the shares of one span of two: sum over a rank's spans": ours / 2,
    }
    for mistake, wrong in known.items():
        if torch.allclose(mine, wrong.float(), rtol=1e-4):
            raise Wrong(mistake)


busy = Exercise(
    key="00.busy",
    title="The busy share",
    difficulty=1,
    minutes=4,
    reference=_busy,
    check=_check_busy,
    hints=(
        "`history.spans` is a table: `rank`, `kind`, `start_s`, `end_s`. The cell that printed the "
        "milliseconds of a step does most of it.",
        'Keep the rows with `spans["kind"] == "compute"`, take `end_s - start_s`, and sum by `rank`.',
        "Divide by `history.elapsed_s`. A rank without such rows has the share 0: `.get(rank, 0.0)`.",
    ),
)
