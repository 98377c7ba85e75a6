"""A sampler: every row, equally many a rank, and to any rank."""

import random

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_05 as exercise


def order(samples, *numbers):
    return torch.randperm(samples, generator=torch.Generator().manual_seed(sum(numbers)))


def padded(rows, world_size):
    return torch.cat([rows, rows[: -len(rows) % world_size]])


def lacks_some(samples, rank, world_size, epoch, seed=0):
    return order(samples, 99 * seed, epoch)[rank::world_size]


def drops_the_rest(samples, rank, world_size, epoch, seed=0):
    each = samples // world_size
    return order(samples, 99 * seed, epoch)[rank::world_size][:each]


def forgets_the_epoch(samples, rank, world_size, epoch, seed=0):
    return padded(order(samples, 99 * seed), world_size)[rank::world_size]


def forgets_the_seed(samples, rank, world_size, epoch, seed=0):
    return padded(order(samples, epoch), world_size)[rank::world_size]


def own_orders(samples, rank, world_size, epoch, seed=0):
    return padded(order(samples, 99 * seed, epoch, 1000 * rank), world_size)[rank::world_size]


def everything(samples, rank, world_size, epoch, seed=0):
    return order(samples, 99 * seed, epoch)


def any_order(samples, rank, world_size, epoch, seed=0):
    return padded(torch.randperm(samples), world_size)[rank::world_size]


def in_order(samples, rank, world_size, epoch, seed=0):
    return padded((torch.arange(samples) + epoch) % samples, world_size)[rank::world_size].sort().values


def a_list(samples, rank, world_size, epoch, seed=0):
    return list(range(samples))


def never_leaves_its_rank(samples, rank, world_size, epoch, seed=0):
    mine = padded(torch.arange(samples), world_size)[rank::world_size]
    return mine[order(len(mine), 99 * seed, epoch)]


def in_blocks(samples, rank, world_size, epoch, seed=0):
    rows = padded(order(samples, 99 * seed, epoch), world_size)
    return rows.chunk(world_size)[rank]


def by_numpy(samples, rank, world_size, epoch, seed=0):
    rows = np.random.default_rng([seed, epoch]).permutation(samples)
    each = -(-samples // world_size)
    return torch.from_numpy(np.resize(rows, each * world_size)[rank * each : (rank + 1) * each])


def by_python(samples, rank, world_size, epoch, seed=0):
    rows = list(range(samples))
    random.Random(f"{seed} {epoch}").shuffle(rows)
    each = -(-samples // world_size)
    return torch.tensor([rows[i % samples] for i in range(rank, each * world_size, world_size)])


def as_torchs_sampler(samples, rank, world_size, epoch, seed=0):
    sampler = torch.utils.data.DistributedSampler(range(samples), world_size, rank, seed=seed)
    sampler.set_epoch(epoch)
    return torch.tensor(list(sampler), dtype=torch.int32)


def turned(samples, rank, world_size, epoch, seed=0):
    """The order of the file, from the end, from another row on in each epoch."""
    rows = torch.arange(samples).flip(0).roll(int(order(samples, 99 * seed, epoch)[0]))
    return padded(rows, world_size)[rank::world_size]


def shards_that_go_round(samples, rank, world_size, epoch, seed=0):
    mine = padded(torch.arange(samples), world_size)[(rank + epoch) % world_size :: world_size]
    return mine[order(len(mine), 99 * seed, epoch)]


def from_minus_one(samples, rank, world_size, epoch, seed=0):
    return in_blocks(samples, rank, world_size, epoch, seed) - 1


def by_sorting_draws(samples, rank, world_size, epoch, seed=0):
    drawn = torch.rand(samples, generator=torch.Generator().manual_seed(1000 * seed + epoch))
    return padded(drawn.argsort(), world_size).view(-1, world_size).T[rank]


test_any_style_passes = passes(
    exercise.deal, by_sorting_draws, in_blocks, by_numpy, by_python, as_torchs_sampler
)

test_a_mistake_is_named = refused(
    exercise.deal,
    (from_minus_one, "has row -1; rows are 0 to 11"),
    (shards_that_go_round, "the rows of a rank stay together"),
    (turned, "in the order of the file, turned round or shifted"),
    (lacks_some, "all would wait for ever"),
    (drops_the_rest, "samples are nobody's"),
    (forgets_the_epoch, "the epoch must go into"),
    (forgets_the_seed, "seeds 0 and 1 give the same order"),
    (own_orders, "the rank has no place in the seed"),
    (everything, "deal them out"),
    (any_order, "a seed of its own"),
    (in_order, "order of the file"),
    (a_list, "a tensor of row numbers"),
    (never_leaves_its_rank, "every rank has the same rows in epochs 0 and 1"),
)
