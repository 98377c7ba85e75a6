"""Lab 06, the parameter server: five exercises, from a worker's round to the servers that beat a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import DeadlockError, WorkerError
from ..history.history import History
from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient, make_model, parameters
from .lab_06_costs import feeds, servers
from .machine import Exercise, Wrong, call, on_nodes
from .mistakes import compare

__all__ = ["average", "feeds", "once", "servers", "slices"]

Tensor = torch.Tensor
Batches = list[tuple[Tensor, Tensor]]


def _served(asked: str, worker: Callable[..., Any], nodes: int, *args: Any) -> History:
    """``on_nodes``, where a deadlock means a message too many or too few: other than was ``asked``."""
    try:
        return on_nodes(worker, nodes, *args)
    except DeadlockError as error:
        raise Wrong(
            f"{asked}; your function sends or receives another number of messages:\n{error}"
        ) from None
    except WorkerError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise Wrong(
            "you pull between forward and backward: torch sees that the parameters are no longer those of "
            "the forward pass. Pull first, then forward, backward, push"
        ) from None


# 06.once


def _accumulating_worker(node, model, batches):  # type: ignore[no-untyped-def]
    node.recv(parameters(model), 0)
    total = torch.zeros_like(parameters(model))
    for x, y in batches:
        total += gradient(bce_with_logits(model(x), y), model)
    node.send(total / len(batches), 0)


def _random_batches(count: int) -> Batches:
    drawn = torch.Generator().manual_seed(count)
    return [
        (torch.rand(4, 784, generator=drawn), torch.randint(2, (4, 1), generator=drawn).float())
        for _ in range(count)
    ]


def _gradients(model: Any, given: Batches) -> list[Tensor]:
    return [gradient(bce_with_logits(model(x), y), model) for x, y in given]


def _once(node: Node, answer: Callable[..., Any], given: Batches) -> list[Tensor]:
    """Two steps: rank 0 hands out parameters of seeds 3 and 4, and keeps what comes back."""
    model, came = make_model(seed=node.rank, hidden=6), []
    for seed in (3, 4):
        if node.rank:
            answer(node, model, given)
            continue
        pull = node.isend(parameters(make_model(seed=seed, hidden=6)), 1)
        box = torch.empty_like(parameters(model))
        node.recv(box, 1)
        pull.wait()
        came.append(box)
    return came


def _check_once(answer: Callable[..., Any]) -> str:
    for count in (1, 3):
        given = _random_batches(count)
        history = _served(
            "the server answers one pull and waits for one push a step", _once, 2, answer, given
        )
        stale = make_model(seed=1, hidden=6)  # what the worker has before its first pull
        for step, got in enumerate(history.results[0]):
            fresh = make_model(seed=step + 3, hidden=6)
            each = _gradients(fresh, given)
            mean = torch.stack(each).sum(0) / count
            old = torch.stack(_gradients(stale, given)).sum(0) / count
            likely = [
                (f"in step {step} you push the gradient at parameters from before the pull: pull first", old),
                ("you push the parameters: the server wants the gradient", parameters(fresh)),
            ]
            if count > 1:
                likely += [
                    (f"you push the sum over {count} batches: the mean was asked, {count} times less",
                     count * mean),
                    ("you push the last batch's gradient alone: add the others", each[-1]),
                    ("you push the first batch's gradient alone: add the others", each[0]),
                ]  # fmt: skip
            compare(got, mean, f"what the server gets in step {step}", *likely)
            stale = fresh
    return "1 and 3 batches a step, two steps: one pull, one push, the mean gradient at fresh parameters"


once = Exercise(
    key="06.once",
    title="Pull once, push once",
    difficulty=1,
    minutes=6,
    reference=_accumulating_worker,
    check=_check_once,
    hints=(
        "Four things in a row: pull, then forward and backward for each batch, then push.",
        "`node.recv(lab.parameters(model), 0)` writes straight into the model.",
        "Add the gradients in a tensor that begins as `torch.zeros_like(lab.parameters(model))`, and send "
        "it divided by `len(batches)`.",
    ),
)


# 06.average


def _weighted_average(node, size):  # type: ignore[no-untyped-def]
    total, samples = torch.zeros(size), 0.0
    box = torch.empty(size + 1)
    for worker in range(1, node.world_size):
        node.recv(box, worker)
        pushed, count = box[:size], box[size].item()
        total += count * pushed
        samples += count
    return total / samples


COUNTS = (30, 10, 8, 2)


def _pushed(worker: int, size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(worker))


def _average(node: Node, answer: Callable[..., Any], size: int) -> Any:
    if node.rank == 0:
        return answer(node, size)
    count = torch.tensor([float(COUNTS[node.rank - 1])])
    node.send(torch.cat([_pushed(node.rank, size), count]), 0)
    return None


def _check_average(answer: Callable[..., Any]) -> str:
    for workers in (4, 2, 1):
        size, counts = 5, COUNTS[:workers]
        got = _served("every worker pushes once", _average, workers + 1, answer, size).results[0]
        if isinstance(got, Tensor) and got.shape == (size + 1,):
            raise Wrong("the last entry of each push is a count and no part of the gradient: cut it off")
        pushed = [_pushed(worker + 1, size) for worker in range(workers)]
        weighted = torch.stack([n * g for n, g in zip(counts, pushed, strict=True)]).sum(0)
        told = ", ".join(map(str, counts))
        compare(
            got,
            weighted / sum(counts),
            f"the average over {workers} workers with {told} digits",
            (f"that is the plain mean over {workers} workers: a digit of the smallest batch then counts "
             f"{max(counts) // min(counts)} times as much as one of the largest",
             torch.stack(pushed).mean(0)),
            (f"you divide by the {workers} workers: divide by all {sum(counts)} digits", weighted / workers),
            (f"you weight by the counts and don't divide by their sum, {sum(counts)}", weighted),
            ("that is the sum of the gradients, whatever their digits", torch.stack(pushed).sum(0)),
        )  # fmt: skip
    return "1, 2 and 4 workers with unequal batches: each digit counts alike"


average = Exercise(
    key="06.average",
    title="The server's average",
    difficulty=1,
    minutes=6,
    reference=_weighted_average,
    check=_check_average,
    hints=(
        "Receive into a box of size + 1, from one worker after another.",
        "`box[:size]` is the gradient, `box[size]` the number of digits behind it.",
        "Σ nᵢ gᵢ / Σ nᵢ: keep both sums as you go, and divide at the end.",
    ),
)


# 06.slices


def _slice_of(server, servers, size):  # type: ignore[no-untyped-def]
    base, rest = divmod(size, servers)
    start = server * base + min(server, rest)  # so many servers before this one have one more
    return start, start + base + (server < rest)


def _check_slices(answer: Callable[..., Any]) -> str:
    for size, servers_ in ((12, 4), (10, 4), (201_217, 8), (3, 5), (7, 1), (11, 3)):
        got = [_pair(call(answer, server, servers_, size)) for server in range(servers_)]
        right = [_slice_of(server, servers_, size) for server in range(servers_)]
        if got != right:
            raise Wrong(_why_slices(got, right, size))
    return "six sizes over 1 to 8 servers: nothing lost, nothing twice, the order of tensor_split"


def _pair(got: Any) -> tuple[int, int]:
    if not isinstance(got, tuple | list) or len(got) != 2 or not all(type(n) is int for n in got):
        raise Wrong(f"return two whole numbers, where the slice starts and where it stops, not {got!r:.60}")
    return got[0], got[1]


def _why_slices(got: list[tuple[int, int]], right: list[tuple[int, int]], size: int) -> str:
    told = f"{size:,} parameters on {len(got)} servers"
    lengths = [stop - start for start, stop in got]
    if got == [(start, stop - 1) for start, stop in right]:
        return f"{told}: your slices stop one early; Python's tensor[start:stop] leaves stop out itself"
    if min(lengths) < 0 or max(stop for _, stop in got) > size:
        server = next(s for s, (a, b) in enumerate(got) if b < a or b > size)
        return f"{told}: server {server} gets {got[server]}, and there are parameters 0 to {size - 1:,} only"
    if sum(lengths) < size:
        return f"{told}: {size - sum(lengths)} of them lie on no server, so nobody ever updates them"
    if sum(lengths) > size:
        return f"{told}: {sum(lengths) - size} of them lie on two servers"
    if max(lengths) - min(lengths) > 1:
        worst = f"your largest slice has {max(lengths):,}, the smallest {min(lengths):,}"
        return f"{told}: {worst}; they should differ by one at most, as the largest decides the time"
    server = next(s for s, (mine, theirs) in enumerate(zip(got, right, strict=True)) if mine != theirs)
    place = f"server {server} gets {got[server]}, tensor_split gives it {right[server]}"
    return f"{told}: {place}: the larger ones come first"


slices = Exercise(
    key="06.slices",
    title="Which slice is whose",
    difficulty=2,
    minutes=8,
    reference=_slice_of,
    check=_check_slices,
    hints=(
        "`base, rest = divmod(size, servers)`: every slice has base parameters, rest of them one more.",
        "The first `rest` servers have base + 1. How many of those stand before this server?",
        "start = server * base + min(server, rest)",
    ),
)
