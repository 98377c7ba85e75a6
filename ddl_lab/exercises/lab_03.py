"""The exercises of lab 03: weights, noise, waiting, shares, memory, and a weighted all-reduce."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..node.node import Node
from .machine import Exercise, Wrong, call, close, on_nodes
from .mistakes import compare

Answer: TypeAlias = Callable[..., Any]
COUNTS = (320, 40, 20, 20)


def _gradients(counts: Sequence[int], size: int = 1000) -> tuple[list[Tensor], Tensor]:
    """A gradient (size,) for each node, and the gradient of all their samples together."""
    generator = torch.Generator().manual_seed(3)
    found = [torch.randn(size, generator=generator) for _ in counts]
    weights = torch.tensor(counts) / sum(counts)
    return found, (weights[:, None] * torch.stack(found)).sum(0)


def _check_mean(got: Any, gradients: list[Tensor], right: Tensor, counts: Sequence[int], what: str) -> None:
    nodes, total, stack = len(counts), sum(counts), torch.stack(gradients)
    inverse, most = 1 / torch.tensor(counts)[:, None], max(counts) / min(counts)
    known = [
        ("you summed over nodes where the mean was asked: with equal shards your result is {nodes} times too "
         "large, and {nodes} is the node count", stack.sum(0)),
        ("the plain mean: a digit of the smallest shard counts as {most:.3g} of the largest", stack.mean(0)),
        ("you multiplied by the counts: divide by their sum, {total}, as well", total * right),
        ("divide by all {total} digits, not by the {nodes} nodes", total / nodes * right),
        ("the weights make it a mean already; you divided by the {nodes} nodes again", right / nodes),
        ("the node with most digits must weigh most, not least", (stack * inverse).sum(0) / inverse.sum()),
    ]  # fmt: skip
    told = [f"{what}: {words.format(nodes=nodes, total=total, most=most)}" for words, _ in known]
    compare(got, right, f"{what}: the result", *zip(told, [wrong for _, wrong in known], strict=True))


def _weighted_mean(gradients: list[Tensor], counts: list[int]) -> Tensor:
    total = sum(counts)
    weighted = [n / total * gradient for gradient, n in zip(gradients, counts, strict=True)]
    return torch.stack(weighted).sum(0)  # (nodes, P) -> (P,)


def _check_weights(answer: Answer) -> str:
    for counts in (COUNTS, (64, 64), (7,)):
        gradients, right = _gradients(counts)
        got = call(answer, gradients, list(counts))
        _check_mean(got, gradients, right, counts, f"with {list(counts)} samples")
    return "unequal shards, equal ones, and a single node"


weights = Exercise(
    key="03.weights",
    title="Weights for unequal shards",
    difficulty=1,
    minutes=4,
    reference=_weighted_mean,
    check=_check_weights,
    hints=(
        "With 320 samples of 400 a node speaks for 80 % of the batch.",
        "The weight of node i is counts[i] / sum(counts); add up weight times gradient.",
    ),
)


def _noise(sigma2: float, batch: int, samples: int, replacement: bool) -> float:
    variance = sigma2 / batch
    if not replacement:
        variance *= (samples - batch) / (samples - 1)
    return variance


def _is(got: Any, number: float) -> bool:
    return isinstance(got, int | float) and math.isclose(got, number, rel_tol=1e-9)


def _check_noise(answer: Answer) -> str:
    for sigma2, batch, samples in ((4.8, 64, 4000), (2.0, 10, 40), (3.0, 1, 50)):
        case, plain = f"σ² = {sigma2}, {batch} of {samples} samples", sigma2 / batch
        got = call(answer, sigma2, batch, samples, True)
        if _is(got, math.sqrt(plain)):
            raise Wrong(f"{case}: that is the standard deviation; its square, the variance, was asked")
        if _is(got, sigma2) and batch > 1:
            raise Wrong(f"{case}: one sample varies so much; the mean of {batch} varies less")
        close(got, plain, f"with replacement, {case}: the variance")
        got = call(answer, sigma2, batch, samples, False)
        if _is(got, plain) and batch > 1:
            raise Wrong(
                f"{case}: the same with and without replacement; what if the batch were all {samples}?"
            )
        if _is(got, plain * (1 - batch / samples)):
            raise Wrong(f"{case}: a batch of 1 must keep all of σ²: divide by samples - 1, not by samples")
        close(got, _noise(sigma2, batch, samples, False), f"without replacement, {case}: the variance")
    close(call(answer, 3.0, 50, 50, False), 0.0, "the variance of a batch that is all the data")
    return "both ways of drawing, a batch of one, and a batch that is all the data"


noise = Exercise(
    key="03.noise",
    title="The variance of the mean",
    difficulty=1,
    minutes=4,
    reference=_noise,
    check=_check_noise,
    hints=(
        "The mean of B independent draws has a B-th of the variance of one.",
        "Without replacement it is (samples - batch) / (samples - 1) times that: 0 for all the data.",
    ),
)


def _utilisation(alpha: float, nodes: int) -> float:
    speeds = [alpha**i for i in range(nodes)]
    slowest = min(speeds)  # everyone waits for this one, whichever end it is at
    return sum(slowest / speed for speed in speeds) / nodes


def _check_utilisation(answer: Answer) -> str:
    for alpha, nodes in ((0.85, 8), (0.5, 2), (0.9, 1), (1.0, 4), (1.25, 3)):
        case, right = f"alpha = {alpha}, {nodes} nodes", _utilisation(alpha, nodes)
        speeds = [alpha**i for i in range(nodes)]
        try:
            got = call(answer, alpha, nodes)
        except ZeroDivisionError:
            raise Wrong(f"{case}: the closed form divides 0 by 0 there. Add the powers up instead") from None
        known = {
            "you added the busy shares of all nodes, and their mean was asked": nodes * right,
            "that is in percent, and a share between 0 and 1 was asked": 100 * right,
            "that is the share of time spent waiting, and the busy share was asked": 1 - right,
            "a share of the samples/s; the busy share of time was asked": nodes * min(speeds) / sum(speeds),
            "so busy is the node that waits longest; the mean over all was asked": min(speeds) / max(speeds),
            "with alpha above 1 the slowest node is rank 0": sum(speeds) / nodes,
        }
        for mistake, wrong in known.items():
            if _is(got, wrong) and not _is(got, right):
                raise Wrong(f"{case}: {got:.4g}; {mistake}")
        close(got, right, f"{case}: the utilisation")
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


def _shares(speeds: list[float], batch: int) -> list[int]:
    ideal = [batch * speed / sum(speeds) for speed in speeds]
    counts = [int(share) for share in ideal]  # rounded down: some samples are left over
    by_rest = sorted(range(len(speeds)), key=lambda rank: counts[rank] - ideal[rank])
    for rank in by_rest[: batch - sum(counts)]:  # they go where most was cut off
        counts[rank] += 1
    return counts


def _check_shares(answer: Answer) -> str:
    geometric = [10_000 * 0.85**i for i in range(8)]
    for speeds, batch in (([3.0, 1.0], 400), (geometric, 512), ([1.0] * 3, 100), ([5.0, 5.0, 1.0], 7)):
        got, ideal = call(answer, speeds, batch), [batch * speed / sum(speeds) for speed in speeds]
        if fault := _fault_of_shares(got, ideal, batch):
            raise Wrong(f"{len(speeds)} nodes, batch {batch}: {fault}")
    return "shares that come out even, and three cases that don't"


def _fault_of_shares(got: Any, ideal: list[float], batch: int) -> str:
    if not isinstance(got, list) or len(got) != len(ideal):
        return f"a list of {len(ideal)} whole numbers was asked, one a node; got {got!r:.60}"
    if not all(type(count) is int for count in got):
        return f"there are no parts of digits: whole numbers (int) were asked, got {got!r:.60}"
    if sum(got) != batch:
        return f"your shares add up to {sum(got)}: rounded one by one they needn't make the batch: {got}"
    if max(got) - min(got) <= 1 < max(ideal) - min(ideal):
        return f"equal shares, {got}, but the speeds differ: all would wait for the slowest"
    if got[ideal.index(max(ideal))] < got[ideal.index(min(ideal))]:
        return f"the faster a node, the smaller its share: {got}. It is the other way round"
    worst = max(range(len(got)), key=lambda rank: abs(got[rank] - ideal[rank]))
    if abs(got[worst] - ideal[worst]) >= 1:
        told = f"rank {worst} has {got[worst]}, its fair share is {ideal[worst]:.2f}"
        return f"{told}: hand out what rounding left over one by one, not all to one node"
    return ""


shares = Exercise(
    key="03.shares",
    title="Shares by speed, to the last digit",
    difficulty=2,
    minutes=8,
    reference=_shares,
    check=_check_shares,
    hints=(
        "Begin with batch * speed / sum(speeds), rounded down.",
        "Sort the ranks by what rounding cut off; the first of them get one digit more each.",
    ),
)


def _weighted_all_reduce(node: Node, gradient: Tensor, samples: int) -> Tensor:
    total = torch.tensor([float(samples)])
    node.all_reduce(total, op="sum")  # how many samples all nodes have: 4 bytes of payload
    gradient *= samples / total.item()
    node.all_reduce(gradient, op="sum")
    return gradient


def _check_reduce(answer: Answer) -> str:
    gradients, right = _gradients(COUNTS)

    def worker(node: Node, rule: Answer) -> Any:
        return rule(node, gradients[node.rank].clone(), COUNTS[node.rank])

    ours = on_nodes(worker, len(COUNTS), _weighted_all_reduce)
    theirs = on_nodes(worker, len(COUNTS), answer)
    for rank, got in enumerate(theirs.results):
        _check_mean(got, gradients, right, COUNTS, f"on rank {rank}")
    for unit in ("bytes", "messages"):
        sent, enough = (max(getattr(run, f"{unit}_sent")) for run in (theirs, ours))
        if sent > enough:
            much = f"a rank sends {sent:,} {unit} where {enough:,} do"
            raise Wrong(f"right values, but {much}: all-reduce the gradient and one number, once each")
    return f"the values on 4 ranks; at most {max(theirs.bytes_sent):,} bytes in {sent} messages a rank"


reduce = Exercise(
    key="03.reduce",
    title="A weighted all-reduce",
    difficulty=3,
    minutes=10,
    reference=_weighted_all_reduce,
    check=_check_reduce,
    hints=(
        "A node knows its own count. Which one number must it learn from the others?",
        "All-reduce a tensor of one element, torch.tensor([float(samples)]), with op='sum'.",
        "Scale the gradient by samples / total before its all-reduce, and sum.",
    ),
)
