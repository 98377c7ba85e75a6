"""Unequal shards in one exchange, of whatever kind."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_05 as exercise


def plain(node, gradient, samples):
    node.all_reduce(gradient, op="mean")
    return gradient


def summed(node, gradient, samples):
    node.all_reduce(gradient)
    return gradient


def counts_first(node, gradient, samples):
    total = torch.tensor([float(samples)])
    node.all_reduce(total)
    gradient = gradient * samples / total
    node.all_reduce(gradient)
    return gradient


def by_nodes(node, gradient, samples):
    gradient = gradient * samples
    node.all_reduce(gradient, op="mean")
    return gradient


def unweighted(node, gradient, samples):
    sums = torch.cat([gradient, torch.tensor([float(samples)])])
    node.all_reduce(sums)
    return sums[:-1] / sums[-1]


def with_the_count(node, gradient, samples):
    sums = torch.cat([samples * gradient, torch.tensor([float(samples)])])
    node.all_reduce(sums)
    return sums / sums[-1]


def by_its_own(node, gradient, samples):
    gradient = gradient * samples
    node.all_reduce(gradient)
    return gradient / samples


def both_behind_each_other(node, gradient, samples):
    sums = torch.cat([samples * gradient, torch.tensor([float(samples)])])
    node.all_reduce(sums)
    return sums[:-1] / sums[-1]


def the_count_in_front_and_means(node, gradient, samples):
    both = torch.hstack([torch.tensor(float(samples)), gradient.mul_(samples)])
    node.all_reduce(both, op="mean")
    return both[1:].div(both[0])


def all_gathered(node, gradient, samples):
    mine = torch.cat([gradient, gradient.new_tensor([samples])])
    every = torch.empty(node.world_size, len(mine))
    node.all_gather(every, mine)
    return torch.einsum("n,np->p", every[:, -1], every[:, :-1]) / every[:, -1].sum()


def in_double(node, gradient, samples):
    sums = torch.zeros(len(gradient) + 1, dtype=torch.float64)
    sums[:-1], sums[-1] = samples * gradient, samples
    node.all_reduce(sums)
    return (sums[:-1] / sums[-1]).float()


def of_the_labs_400(node, gradient, samples):
    gradient = gradient * samples / 400
    node.all_reduce(gradient)
    return gradient


def of_a_hundred_a_node(node, gradient, samples):
    gradient = gradient * samples / 100
    node.all_reduce(gradient, op="mean")
    return gradient


def as_two_rows(node, gradient, samples):
    rows = torch.stack([samples * gradient, torch.full_like(gradient, samples)])
    node.all_reduce(rows)
    return rows[0] / rows[1]


test_any_style_passes = passes(
    exercise.uneven,
    as_two_rows,
    both_behind_each_other,
    the_count_in_front_and_means,
    all_gathered,
    in_double,
)

test_a_mistake_is_named = refused(
    exercise.uneven,
    (of_a_hundred_a_node, "rank 0's result differs: 0.2533 times"),
    (of_the_labs_400, "rank 0's result differs: 0.19 times"),
    (plain, "the plain mean"),
    (summed, "the sum over ranks"),
    (counts_first, "let the count travel behind the gradient"),
    (by_nodes, "you divided by the 4 nodes"),
    (unweighted, "isn't weighted"),
    (with_the_count, "1,001 entries"),
    (by_its_own, "divided by this rank's 320 samples"),
)
