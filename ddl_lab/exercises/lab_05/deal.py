"""A sampler: rows dealt out to ranks, every sample, equally many, new in each epoch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..helpers import Answer, Wrong
from ..machine import Exercise


def _my_rows(samples: int, rank: int, world_size: int, epoch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * seed + epoch)
    order = torch.randperm(samples, generator=generator)
    each = -(-samples // world_size)  # rounded up
    missing = each * world_size - samples
    order = torch.cat([order, order[:missing]])  # the first ones come twice, so that nobody lacks one
    return order[rank::world_size]


def _check_deal(answer: Answer) -> str:
    for samples, nodes in ((12, 4), (4000, 4), (10, 4), (63, 5), (7, 1)):
        case = f"{samples} samples, {nodes} ranks"
        first = [_rows(answer, case, samples, rank, nodes, 0) for rank in range(nodes)]
        again = [_rows(answer, case, samples, rank, nodes, 0) for rank in range(nodes)]
        if not all(map(torch.equal, first, again)):
            raise Wrong(
                f"{case}: the same call gives other rows: draw from a generator with a seed of its own"
            )
        _check_shares(case, first, samples, nodes)
        later = [_rows(answer, case, samples, rank, nodes, 1) for rank in range(nodes)]
        if all(map(torch.equal, first, later)):
            raise Wrong(
                f"{case}: epochs 0 and 1 have the same order: the epoch must go into the generator's seed"
            )
        _check_shares(f"{case}, epoch 1", later, samples, nodes)
        if samples > 1000:
            _check_draw(answer, case, first, samples, nodes)
            _check_mixing(case, first, later)
    return "shares that come out even and that don't; every sample, equally many a rank, new in each epoch"


def _rows(
    answer: Answer, case: str, samples: int, rank: int, nodes: int, epoch: int, seed: int = 0
) -> Tensor:
    got = answer(samples, rank, nodes, epoch, seed)
    if not isinstance(got, Tensor) or got.is_floating_point() or got.dtype == torch.bool or got.dim() != 1:
        raise Wrong(f"{case}: a tensor of row numbers, integers in one dimension, was asked, got {got!r:.60}")
    if len(got) and not 0 <= int(got.min()) <= int(got.max()) < samples:
        outside = int(got.min() if got.min() < 0 else got.max())
        raise Wrong(f"{case}: rank {rank} has row {outside}; rows are 0 to {samples - 1}")
    return got


def _check_shares(case: str, shares: list[Tensor], samples: int, nodes: int) -> None:
    sizes, each = [len(share) for share in shares], math.ceil(samples / nodes)
    seen = len(torch.cat(shares).unique())
    if len(set(sizes)) > 1:
        raise Wrong(f"{case}: the ranks get {sizes} rows: one would come to an all-reduce that others don't, "
                    "and all would wait for ever")  # fmt: skip
    if sizes[0] == samples and nodes > 1:
        raise Wrong(f"{case}: every rank gets all {samples} rows: deal them out")
    if seen < samples and sizes[0] < each:
        raise Wrong(
            f"{case}: {samples - seen} samples are nobody's: {each} a rank, some of them twice, take all"
        )
    if sizes[0] != each:
        raise Wrong(f"{case}: {sizes[0]} rows a rank where {each} are enough")
    if seen < samples:
        raise Wrong(
            f"{case}: the ranks see only {seen} different samples: all must deal from one common order, so "
            "the rank has no place in the seed"
        )


def _check_draw(answer: Answer, case: str, first: list[Tensor], samples: int, nodes: int) -> None:
    if any(torch.equal(share, share.sort().values) for share in first):
        raise Wrong(f"{case}: the rows come in the order of the file: draw an order with torch.randperm")
    for steps in (share.diff() for share in first):
        if (steps == steps.mode().values).double().mean() > 0.5:
            raise Wrong(
                f"{case}: most rows follow each other by equal steps, in the order of the file, turned round "
                "or shifted: draw an order with torch.randperm"
            )
    other = [_rows(answer, case, samples, rank, nodes, 0, seed=1) for rank in range(nodes)]
    if all(map(torch.equal, first, other)):
        raise Wrong(f"{case}: seeds 0 and 1 give the same order")


def _check_mixing(case: str, first: list[Tensor], later: list[Tensor]) -> None:
    """Rows wander from rank to rank: an order of all rows is dealt out, in every epoch anew."""
    ranks = range(len(first))
    kept = [[len(set(a.tolist()) & set(b.tolist())) / len(a) for b in later] for a in first]
    if min(max(row) for row in kept) > 0.9 and min(kept[rank][rank] for rank in ranks) < 0.9:
        raise Wrong(
            f"{case}: the rows of a rank stay together, and go to another one in epoch 1: draw an order of "
            "all rows first, then deal, so that any rows can come together"
        )
    if min(kept[rank][rank] for rank in ranks) > 0.9:
        raise Wrong(
            f"{case}: every rank has the same rows in epochs 0 and 1, in another order: draw an order of all "
            "rows first, then deal, so that a row can come to any rank"
        )


deal = Exercise(
    key="05.deal",
    title="A sampler",
    difficulty=3,
    minutes=15,
    reference=_my_rows,
    check=_check_deal,
    hints=(
        "Draw one order on every rank, the same: the generator's seed is made of seed and epoch alone.",
        "ceil(samples / world_size) is -(-samples // world_size). How many are then missing at the end?",
        "Append that many from the beginning of the order, with torch.cat, so that it divides evenly.",
        "Then deal like cards: order[rank::world_size].",
    ),
)
