"""Parts of a data set: some of its rows, by their numbers; and a data set shared out among parties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from ..ranges import check_count, check_number


class Samples(Protocol):
    """A data set: inputs x (n, ...) and targets y (n, ...), one row a sample."""

    @property
    def x(self) -> torch.Tensor: ...

    @property
    def y(self) -> torch.Tensor: ...


@dataclass(frozen=True, repr=False, eq=False)
class Part:
    """Some rows of a data set, n of them. It holds their numbers; the samples stay where they are.

    of: the data set. rows: int64 (n,). To another process travel the numbers, and of the digits their
    name, no pixels; ``batches`` reads the rows in place. x, y and labels: of rows that follow one another
    views, of the digits as read-only as the whole; of any others copies, made anew each time.
    """

    of: Any
    rows: torch.Tensor

    @property
    def x(self) -> torch.Tensor:
        """Inputs (n, ...)."""
        return self._taken(self.of.x)

    @property
    def y(self) -> torch.Tensor:
        """Targets (n, ...)."""
        return self._taken(self.of.y)

    @property
    def labels(self) -> torch.Tensor:
        """Labels (n,)."""
        return self._taken(self.of.labels)

    @cached_property
    def _follow(self) -> bool:
        """Whether each row is the one after that before it."""
        return bool((self.rows.diff() == 1).all())

    def _taken(self, whole: torch.Tensor) -> torch.Tensor:
        if self._follow and len(self):
            return whole.narrow(0, int(self.rows[0]), len(self))
        return whole.index_select(0, self.rows.to(whole.device))

    def part(self, rows: Any) -> Part:
        """Some of these rows, as ``Split.part`` takes them."""
        return Part(self.of, self.rows[row_numbers(rows, len(self))])

    def __add__(self, other: Part) -> Part:
        """These rows and those of ``other``, a part of the same data set."""
        if not isinstance(other, Part) or other.of is not self.of:
            raise ValueError(f"{self!r} + {other!r:.80}: add parts of one data set.")
        return Part(self.of, torch.cat([self.rows, other.rows]))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<part of {self.of!r:.40}: {len(self)} samples>"


def row_numbers(rows: Any, count: int) -> torch.Tensor:
    """Which of ``count`` rows are meant, int64 (n,): a slice, row numbers, or True and False for each.

    Raises ValueError and TypeError, naming what doesn't fit.
    """
    if isinstance(rows, slice):
        return torch.arange(count)[rows]
    numbers = torch.as_tensor(rows)
    if not numbers.numel():  # an empty list has no whole numbers
        return torch.empty(0, dtype=torch.int64)
    if numbers.dtype == torch.bool and numbers.shape == (count,):
        return numbers.nonzero()[:, 0]
    if numbers.dim() != 1 or numbers.is_floating_point() or numbers.dtype == torch.bool:
        raise TypeError(
            f"part: rows are a slice, whole numbers (n,), or True and False for each of {count} rows, "
            f"got {numbers.dtype} {tuple(numbers.shape)}"
        )
    if not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
        raise ValueError(
            f"part: rows are from 0 to {count - 1}, got {int(numbers.min())} to {int(numbers.max())}"
        )
    return numbers.long()


def share_out(
    data: Samples,
    parts: int,
    *,
    shards: int | None = None,
    alpha: float | None = None,
    by: Any = None,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
) -> list[Part]:
    """Share out the n rows of ``data`` among ``parts`` parties, each row to one; returns their `Part`s.

    By chance, unless told: each part is a random sample of the whole.
    ``shards``: rows are sorted by label and cut into parts * shards pieces; each part gets so many of them,
    drawn by chance (McMahan et al. 2017 gave each client 2).
    ``alpha``: each part draws its shares of the labels from Dirichlet(alpha * p), p being the whole's
    shares: the smaller, the fewer labels a part has (Hsu, Qi and Brown 2019). Where a label has run out,
    the others a part draws fill its place, so the last parts have what is left.
    ``by``: whole numbers (n,) that stand for the labels, as in ``digits.train.labels % 2``.
    ``sizes``: the rows of each part, n in all at most; unless told, all rows, and sizes differ by one at
    most. They go with chance and ``alpha``. The same ``seed`` gives the same parts on every machine.
    Raises ValueError for what doesn't fit together or is out of range.
    """
    count = len(data.x)
    counts = _check(count, parts, shards, alpha, sizes)
    random = np.random.RandomState(seed)
    by_chance = random.permutation(count)
    if shards is not None:
        labels = _labels(data, by, count)[by_chance]
        chosen = _pieces(by_chance[labels.argsort(kind="stable")], parts, shards, random)
    elif alpha is not None:
        labels = _labels(data, by, count)[by_chance]
        groups = [by_chance[labels == label] for label in np.unique(labels)]
        chosen = _drawn(groups, counts, float(alpha), random)
    else:
        chosen = np.split(by_chance[: sum(counts)], np.cumsum(counts)[:-1])
    whole = data if isinstance(data, Part) else Part(data, torch.arange(count))
    return [whole.part(torch.from_numpy(np.sort(rows))) for rows in chosen]


def _check(count: int, parts: int, shards: Any, alpha: Any, sizes: Any) -> list[int]:
    """The rows of each part; raises ``ValueError`` for what doesn't fit."""
    check_count("parts", parts, "that share the rows out")
    if shards is not None and not (alpha is None and sizes is None):
        raise ValueError("share_out: shards go without alpha and without sizes: take one of them.")
    if shards is not None:
        check_count("shards", shards, "pieces a part")
    if alpha is not None:
        check_number("alpha", alpha)
    if parts * (shards or 1) > count:
        raise ValueError(
            f"share_out: {count} rows make no {parts * (shards or 1)} pieces: take fewer parts or shards."
        )
    if sizes is None:
        return [count // parts + (part < count % parts) for part in range(parts)]
    for part, size in enumerate(sizes):
        check_count(f"sizes[{part}]", size, "rows")
    if len(sizes) != parts or sum(sizes) > count:
        raise ValueError(
            f"share_out: sizes has {len(sizes)} entries, {sum(sizes)} in all, for {parts} parts of {count} "
            "rows: give one a part, no more in all than there are."
        )
    return list(sizes)


def _labels(data: Any, by: Any, count: int) -> np.ndarray:
    labels = getattr(data, "labels", None) if by is None else by
    if labels is None:
        raise ValueError("share_out: this data has no labels: give whole numbers (n,) as by=…")
    found = np.asarray(labels)
    if found.shape != (count,) or found.dtype.kind not in "iub":
        raise ValueError(
            f"share_out: by={found.dtype} of shape {found.shape}: it takes whole numbers ({count},), as "
            "digits.train.labels % 2."
        )
    return found


def _pieces(order: np.ndarray, parts: int, shards: int, random: np.random.RandomState) -> list[np.ndarray]:
    """``order`` in parts * shards pieces, of which each part gets ``shards`` by chance."""
    pieces = np.array_split(order, parts * shards)
    given = random.permutation(len(pieces)).reshape(parts, shards)
    return [np.concatenate([pieces[piece] for piece in mine]) for mine in given]


def _drawn(
    groups: list[np.ndarray], sizes: Sequence[int], alpha: float, random: np.random.RandomState
) -> list[np.ndarray]:
    """For each part ``size`` rows of ``groups``, by shares that it draws from a Dirichlet distribution."""
    free = np.array([len(rows) for rows in groups])
    concentration = alpha * free / free.sum()
    chosen = []
    for size in sizes:
        logs, took = _dirichlet(concentration, random), np.zeros_like(free)
        while missing := size - took.sum():
            odds = np.exp(np.where(free > took, logs - logs[free > took].max(), -np.inf))
            took += np.minimum(random.multinomial(missing, odds / odds.sum()), free - took)
        ends = [len(rows) - left for rows, left in zip(groups, free, strict=True)]
        chosen.append(
            np.concatenate([rows[end : end + k] for rows, end, k in zip(groups, ends, took, strict=True)])
        )
        free = free - took
    return chosen


def _dirichlet(concentration: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Logarithms of shares, but for a constant: the shares of a small concentration underflow.

    A gamma variable of shape c is one of shape c + 1 times U^(1/c) (Marsaglia and Tsang 2000).
    """
    logs: np.ndarray = np.log(random.standard_gamma(concentration + 1))
    return logs + np.log1p(-random.random_sample(len(concentration))) / concentration
