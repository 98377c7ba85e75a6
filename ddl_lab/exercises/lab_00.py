"""The exercises of lab 00: a sum, the busy share, the fastest number of nodes, and a whole worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..cluster.model import Cluster
from ..history.history import History
from ..node.node import Node
from ..virtual.simulation import simulate
from .lab_00_epoch import one_epoch
from .machine import Exercise, Wrong, close, on_nodes, same_traffic

__all__ = ["busy", "fastest", "one_epoch", "total"]

Answer = Callable[..., Any]


def _given_total(node: Node) -> float:
    """Every node returns the sum of all ranks."""
    value = torch.tensor([float(node.rank)])
    ...
    return value.item()


def _total(node: Node) -> float:
    """Every node returns the sum of all ranks: with four nodes 0 + 1 + 2 + 3 = 6."""
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value, op="sum")  # in place, on every node
    return value.item()


def _check_total(answer: Answer) -> str:
    for nodes in (4, 1, 7):
        history, expected = on_nodes(answer, nodes), on_nodes(_total, nodes)
        results, right = history.results, expected.results[0]
        if None in results:
            raise Wrong(f"rank {results.index(None)} returns None: keep `return value.item()`")
        if results == list(range(nodes)) and nodes > 1:
            raise Wrong("each node returns its own rank: nothing was sent. Which call adds over all nodes?")
        if results == [right / nodes] * nodes and nodes > 1:
            raise Wrong(f"each node returns {results[0]:g}, the mean: the sum is {nodes} times as large")
        if results == [nodes - 1.0] * nodes and nodes > 2:
            raise Wrong(f"each node returns {results[0]:g}, the largest rank: op='max' was not asked")
        if len(set(results)) > 1 and right in results:
            raise Wrong(f"the nodes return {results}: {right:g} is the sum, but not every node has it")
        close(results[0], right, f"with {nodes} nodes, rank 0's result")
        same_traffic(history, expected, "One all_reduce does it.")
    return "4, 1 and 7 nodes, each with the sum and one all_reduce"


total = Exercise(
    key="00.total",
    title="A sum",
    difficulty=1,
    minutes=3,
    reference=_total,
    check=_check_total,
    given=_given_total,
    hints=(
        "In `train` one line makes four gradients into one. Which?",
        "It was told to take the mean there: `op` can be something else.",
        '`node.all_reduce(value, op="sum")` works in place: nothing is assigned.',
    ),
)


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


def _fastest(worker: Answer, latency_s: float, counts: Sequence[int]) -> int:
    """Which of ``counts`` nodes end ``worker`` soonest when a message's start takes ``latency_s``.

    For `train`, one epoch, and 8, 16 or 64 nodes: 64 at 5 µs, 16 at 50 µs, 8 at 500 µs. What a message
    costs limits how many nodes are of use.
    """
    cluster = Cluster(latency_s=latency_s)
    took_s = {n: simulate(worker, nodes=n, cluster=cluster).elapsed_s for n in counts}
    return min(took_s, key=lambda n: took_s[n])


def _halving(node: Node) -> None:
    """Computes 400 samples in all, however many nodes, and takes the mean of a small tensor."""
    with node.compute(samples=400 / node.world_size):
        pass
    node.all_reduce(torch.zeros(64), op="mean")


def _check_fastest(answer: Answer) -> str:
    cases = ((1e-6, (4, 8, 32)), (1e-3, (4, 8, 32)), (0.1, (8, 4, 16)))
    for latency_s, counts in cases:
        right, got = _fastest(_halving, latency_s, counts), answer(_halving, latency_s, list(counts))
        if got is None:
            raise Wrong("you return None: is there a `return`?")
        if isinstance(got, float) and not got.is_integer():
            raise Wrong(f"you return {got:.4g}, a time: the number of nodes that needs it was asked")
        if got == right:
            continue
        _name_the_count(got, latency_s, counts)
        raise Wrong(
            f"at a latency of {latency_s:g} s, {right} of {counts} nodes are the fastest; you say {got}"
        )
    return "three latencies, from 1 µs to 0.1 s, and counts in any order"


def _name_the_count(got: Any, latency_s: float, counts: Sequence[int]) -> None:
    if got == counts.index(_fastest(_halving, latency_s, counts)):
        raise Wrong(f"you return {got}, a place in the list of counts: the count that stands there was asked")
    if got not in counts:
        raise Wrong(f"you return {got!r}, which is none of the counts {list(counts)}")
    if got == _fastest(_halving, Cluster().latency_s, counts):
        raise Wrong(f"you found the fastest at the usual 50 µs, not at {latency_s:g} s: use the cluster")
    took_s = {n: simulate(_halving, n, cluster=Cluster(latency_s=latency_s)).elapsed_s for n in counts}
    if got == max(took_s, key=lambda n: took_s[n]):
        raise Wrong(f"at a latency of {latency_s:g} s, {got} nodes take longest: `min`, not `max`")


fastest = Exercise(
    key="00.fastest",
    title="Cheap and dear messages",
    difficulty=2,
    minutes=5,
    reference=_fastest,
    check=_check_fastest,
    hints=(
        "One `lab.simulate` for each count, and `.elapsed_s` of each: the sweep above does that.",
        "Describe the messages first: `cluster = lab.Cluster(latency_s=latency_s)`; `simulate` takes it "
        "as `cluster=cluster`.",
        "Keep the times in a dict by count; `min(times, key=times.get)` is the count, not the time.",
    ),
)
