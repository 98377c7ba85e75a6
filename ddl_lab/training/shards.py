"""How the nodes share out a data set: every sample once an epoch, equally many batches for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any, Protocol

import numpy as np
import torch

from ..counted import counted
from ..ranges import check_number, check_whole
from .parts import Part, Samples

Batch = tuple[torch.Tensor, torch.Tensor]  # x (b, ...), y (b, ...)
SEED_BITS = 32  # of the whole numbers that NumPy's RandomState takes


class Place(Protocol):
    """A node, as far as sharding goes."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...


def batches(
    data: Samples, node: Place | None, batch_size: int, epoch: int = 0, seed: int = 0, *, first: int = 0
) -> Iterator[Batch]:
    """Yield this node's batches (x, y) of one epoch, x (b, ...) and y (b, ...), copies of its rows.

    Over all ranks every sample comes once, in an order drawn from (seed, epoch) alone, and every
    rank gets the same number of batches, so that no collective waits for a rank that has finished:

    1. steps = ceil(samples / (world_size * batch_size));
    2. the order is cut into steps * world_size parts whose sizes differ by one at most;
    3. in step s rank r takes part s * world_size + r: a step's parts lie side by side.

    b is at most ``batch_size``; only where one sample a batch doesn't come out even
    (batch_size=1, 4,000 samples, 3 nodes) some batches hold two. ``node`` None: one node reads it all.

    ``first``: how many samples of the epoch all nodes together have had already. Where that is the end of
    a step of this many nodes the epoch goes on as if nothing had been; else, as on another number of
    nodes, what is left is shared out anew. Raises TypeError and ValueError at the call, not later.
    """
    samples, (rank, world_size) = _samples("batches", data), _place("batches", node)
    check_whole("batches", "batch_size", batch_size, 1, SEED_BITS)
    for name, value in (("epoch", epoch), ("seed", seed), ("first", first)):
        check_whole("batches", name, value, 0, SEED_BITS)
    if first > samples:
        raise ValueError(f"batches: first must be from 0 to the {samples} samples of an epoch, got {first}")
    steps = _steps(samples, world_size, batch_size)
    done, start = -(-first * steps // samples), 0
    if done * samples // steps != first:  # no step of this many nodes ends there
        done, start, steps = 0, first, _steps(samples - first, world_size, batch_size)
    left, parts = samples - start, steps * world_size
    order = epoch_order(samples, seed, epoch)
    mine = range(done * world_size + rank, parts, world_size)
    cuts = [(start + part * left // parts, start + (part + 1) * left // parts) for part in mine]
    return _rows(data, [order[begin:end] for begin, end in cuts])


def endless(data: Samples, node: Place | None, batch_size: int) -> Iterator[Batch]:
    """Yield ``batches`` of one epoch after another, without an end; raises as they do, at the call."""
    later = (batches(data, node, batch_size, epoch) for epoch in count(1))
    return chain(batches(data, node, batch_size), chain.from_iterable(later))


def own(data: Samples | Sequence[Samples], node: Place, batch_size: int) -> Iterator[Batch]:
    """Yield this node's batches without an end: of its share of ``data``, or of a list its own entry.

    A list has a data set for each rank, and they may differ in size: nodes take equally many batches, not
    equally many epochs. Raises ``ValueError`` for a list of another length, and as ``batches`` does.
    """
    if not isinstance(data, Sequence):
        return endless(data, node, batch_size)
    rank, world_size = _place("own", node)
    if len(data) != world_size:
        raise ValueError(
            f"own: {counted(len(data), 'data set')} for {counted(world_size, 'node')}: give one a rank"
        )
    return endless(data[rank], None, batch_size)


def poisson_batches(
    data: Samples, node: Place | None, rate: float, steps: int, seed: int = 0
) -> Iterator[Batch]:
    """Yield this node's shares (x, y) of ``steps`` Poisson batches, copies of its rows, b of them or none.

    Each sample joins each batch by itself, with probability ``rate``: what the privacy of DP-SGD is
    reckoned by (Abadi et al. 2016). Sizes differ from batch to batch, so divide sums by rate * n, not
    means by b. Who joins is drawn from (seed, step) alone; of those rank r takes every world_size-th, from
    the r-th on. Raises TypeError and ValueError at the call.
    """
    samples, (rank, world_size) = _samples("poisson_batches", data), _place("poisson_batches", node)
    check_number("rate", rate)
    if rate > 1:
        raise ValueError(f"rate={rate!r}: it takes a probability, above 0 and at most 1.")
    for name, value in (("steps", steps), ("seed", seed)):
        check_whole("poisson_batches", name, value, 0, SEED_BITS)
    drawn = (_joined(samples, rate, seed, step) for step in range(steps))
    return _rows(data, (rows[rank::world_size] for rows in drawn))


def _steps(samples: int, world_size: int, batch_size: int) -> int:
    """How many batches each node gets of ``samples``; raises ``ValueError`` where some would get none."""
    if samples < world_size:
        raise ValueError(
            f"batches: {counted(samples, 'sample')} can't be shared out over {counted(world_size, 'node')}, "
            f"each needs at least one: use at most {counted(max(samples, 1), 'node')}"
        )
    return min(-(-samples // (world_size * batch_size)), samples // world_size)


@lru_cache(maxsize=8)
def epoch_order(samples: int, seed: int, epoch: int) -> torch.Tensor:
    """The epoch's order, (samples,): the nodes of a simulation share one and only read it."""
    # RandomState: its stream never changes, and this one is not numpy's global one
    return torch.from_numpy(np.random.RandomState([seed, epoch]).permutation(samples))


@lru_cache(maxsize=8)
def _joined(samples: int, rate: float, seed: int, step: int) -> torch.Tensor:
    """The rows of a Poisson batch in rising order, (b,); a third number parts it from the epochs' orders."""
    drawn = np.random.RandomState([seed, step, 1]).random_sample(samples) < rate
    return torch.from_numpy(np.flatnonzero(drawn))


def _rows(data: Samples, parts: Iterable[torch.Tensor]) -> Iterator[Batch]:
    whole, chosen = (data.of, data.rows) if isinstance(data, Part) else (data, None)
    x, y = whole.x, whole.y  # a part's own x would be a copy of all its rows
    for numbers in parts:
        rows = numbers if chosen is None else chosen[numbers]
        yield x.index_select(0, rows.to(x.device)), y.index_select(0, rows.to(y.device))


def _samples(call: str, data: Any) -> int:
    """Return the number of samples in ``data``."""
    whole = data.of if isinstance(data, Part) else data
    x, y = getattr(whole, "x", None), getattr(whole, "y", None)
    if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and x.dim() and y.dim()):
        raise TypeError(
            f"{call}: data must have tensors x and y, one row a sample (digits.train has), got {data!r:.80}"
        )
    if len(x) != len(y):
        raise ValueError(f"{call}: x has {len(x)} samples and y has {len(y)}: one y for each x")
    return len(data) if isinstance(data, Part) else len(x)


def _place(call: str, node: Any) -> tuple[int, int]:
    """Return rank and world size of ``node``."""
    if node is None:
        return 0, 1
    rank, world_size = getattr(node, "rank", None), getattr(node, "world_size", None)
    if not (isinstance(rank, int) and isinstance(world_size, int) and 0 <= rank < world_size):
        raise TypeError(
            f"{call}: the second argument is the node, with rank in 0..world_size - 1, got {node!r:.80}"
        )
    return rank, world_size
