"""How the nodes share out a data set: every sample once an epoch, equally many batches for each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch


class Samples(Protocol):
    """A data set: inputs x (n, ...) and targets y (n, ...), one row a sample."""

    @property
    def x(self) -> torch.Tensor: ...

    @property
    def y(self) -> torch.Tensor: ...


class Place(Protocol):
    """A node, as far as sharding goes."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...


def batches(
    data: Samples, node: Place, batch_size: int, epoch: int = 0, seed: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield this node's batches (x, y) of one epoch, x (b, ...) and y (b, ...), copies of its rows.

    Over all ranks every sample comes once, in an order drawn from (seed, epoch) alone, and every
    rank gets the same number of batches, so that no collective waits for a rank that has finished:

    1. steps = ceil(samples / (world_size * batch_size));
    2. the order is cut into steps * world_size parts whose sizes differ by one at most;
    3. in step s rank r takes part s * world_size + r: a step's parts lie side by side.

    b is at most ``batch_size``; only where one sample a batch doesn't come out even
    (batch_size=1, 4,000 samples, 3 nodes) some batches hold two.
    Raises TypeError and ValueError at the call, not at the first batch.
    """
    samples = _check_samples(data)
    rank, world_size = _check_place(node)
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("epoch", epoch, 0),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"batches: {name} must be a whole number, got {value!r}")
        if not least <= value < 2**32:
            raise ValueError(f"batches: {name} must be from {least} to 2**32 - 1, got {value}")
    if samples < world_size:
        raise ValueError(
            f"batches: {samples} samples can't be shared out over {world_size} nodes, "
            f"each needs at least one: use at most {samples} nodes"
        )
    steps = min(-(-samples // (world_size * batch_size)), samples // world_size)
    order = _order(samples, seed, epoch)
    parts = steps * world_size
    mine = range(rank, parts, world_size)
    cuts = [(part * samples // parts, (part + 1) * samples // parts) for part in mine]
    return _rows(data, [order[start:end] for start, end in cuts])


@lru_cache(maxsize=8)
def _order(samples: int, seed: int, epoch: int) -> torch.Tensor:
    """The epoch's order, (samples,): the nodes of a simulation share one and only read it."""
    # RandomState: its stream never changes, and this one is not numpy's global one
    return torch.from_numpy(np.random.RandomState([seed, epoch]).permutation(samples))


def _rows(data: Samples, parts: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    x, y = data.x, data.y
    for rows in parts:
        yield x.index_select(0, rows.to(x.device)), y.index_select(0, rows.to(y.device))


def _check_samples(data: Any) -> int:
    """Return the number of samples in ``data``."""
    x, y = getattr(data, "x", None), getattr(data, "y", None)
    if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and x.dim() and y.dim()):
        raise TypeError(
            f"batches: data must have tensors x and y, one row a sample (digits.train has), got {data!r:.80}"
        )
    if len(x) != len(y):
        raise ValueError(f"batches: x has {len(x)} samples and y has {len(y)}: one y for each x")
    return len(x)


def _check_place(node: Any) -> tuple[int, int]:
    """Return rank and world size of ``node``."""
    rank, world_size = getattr(node, "rank", None), getattr(node, "world_size", None)
    if not (isinstance(rank, int) and isinstance(world_size, int) and 0 <= rank < world_size):
        raise TypeError(
            f"batches: the second argument is the node, with rank in 0..world_size - 1, got {node!r:.80}"
        )
    return rank, world_size
