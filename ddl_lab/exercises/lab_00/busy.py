"""The busy share: what part of a run each rank computed, from the table of spans."""

from __future__ import annotations

from typing import Any

import torch

from ...history.history import History
from ...node.node import Node
from ...virtual.simulation import simulate
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import compare
from ..values import items, number


def _busy(history: History) -> list[float]:
    """Of each rank, the share of the run's time in which it computed: a list of numbers from 0 to 1."""
    spans = history.spans[history.spans["kind"] == "compute"]
    took_s = (spans["end_s"] - spans["start_s"]).groupby(spans["rank"]).sum()
    return [float(took_s.get(rank, 0.0)) / history.elapsed_s for rank in range(history.nodes)]


def _uneven(node: Node) -> None:
    """Rank 0 doesn't compute; all wait for all twice, and end at different times."""
    for share in (100, 50, 20):
        if node.rank:
            with node.compute(samples=share * node.rank):
                pass
        if share > 20:
            node.barrier()


def _falling(node: Node) -> None:
    """All wait before any computes; the higher the rank, the less it computes, the last one nothing."""
    node.barrier()
    if left := node.world_size - 1 - node.rank:
        with node.compute(samples=60 * left):
            pass
    node.barrier()


def _check_busy(answer: Answer) -> str:
    for worker, nodes, idle in ((_uneven, 4, 0), (_falling, 3, 2)):
        history = simulate(worker, nodes)
        got, ours = items(answer(history), "your list"), torch.tensor(_busy(history)).double()
        if len(got) == nodes - 1:
            raise Wrong(
                f"your list has {len(got)} numbers for {nodes} ranks: rank {idle} computed nothing, and its "
                "share is 0"
            )
        if len(got) != nodes:
            raise Wrong(f"your list has {len(got)} numbers: there are {nodes} ranks")
        mine = [number(share, f"rank {rank}'s share") for rank, share in enumerate(got)]
        compare(torch.tensor(mine).double(), ours, "the list", *_known(ours, history))
    return "four nodes and three of unequal work, of which one computes nothing; some end early"


def _known(ours: torch.Tensor, history: History) -> list[tuple[str, torch.Tensor]]:
    """Words for likely mistakes, and the list that each makes."""
    elapsed_s, spans = history.elapsed_s, history.spans
    took_s = spans["end_s"] - spans["start_s"]
    computed = spans["kind"] == "compute"

    def by_rank(seconds: Any, how: str = "sum") -> torch.Tensor:
        found = getattr(seconds.groupby(spans["rank"]), how)().reindex(range(history.nodes), fill_value=0.0)
        return torch.tensor(found.tolist()).double()

    every = by_rank(took_s)
    return [
        ("these are seconds: divide by the run's, `history.elapsed_s`", ours * elapsed_s),
        ("these are percent, 100 times too large: a share lies between 0 and 1", ours * 100),
        ("these are shares of all computing, which add up to 1: divide by `history.elapsed_s`",
         ours / ours.sum()),
        ("you counted every span, waiting too: only those whose kind is 'compute'", every / elapsed_s),
        ("these are shares of one span of several: sum over a rank's spans",
         by_rank(took_s[computed], "mean") / elapsed_s),
        ("these are shares of one span of several: sum over a rank's spans",
         by_rank(took_s[computed], "last") / elapsed_s),
        ("you divide by the time that each rank itself was at it: the run's is `history.elapsed_s`, for a "
         "rank that is done early too", ours * elapsed_s / every),
        ("one minus what the rank waited: a rank that is done early doesn't compute any more, so sum up what "
         "it computed", 1 - by_rank(took_s[~computed]) / elapsed_s),
    ]  # fmt: skip


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
