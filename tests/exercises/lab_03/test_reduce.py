"""A weighted all-reduce: any type of the count, one exchange or two."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_03 as exercise


def reduced(node, gradient, samples, op="sum", scale=1.0):
    total = torch.tensor([float(samples)])
    node.all_reduce(total)
    gradient *= scale * samples / total.item()
    node.all_reduce(gradient, op=op)
    return gradient


def plain_mean(node, gradient, samples):
    node.all_reduce(gradient, op="mean")
    return gradient


def plain_sum(node, gradient, samples):
    node.all_reduce(gradient)
    return gradient


def no_division(node, gradient, samples):
    gradient *= samples
    node.all_reduce(gradient)
    return gradient


def all_gradients(node, gradient, samples):
    every = [torch.empty_like(gradient) for _ in range(node.world_size)]
    counts = torch.empty(node.world_size)
    node.all_gather(every, gradient)
    node.all_gather(counts, torch.tensor([float(samples)]))
    return (torch.stack(every) * counts[:, None]).sum(0) / counts.sum()


def chatty(node, gradient, samples):
    node.barrier()
    return reduced(node, gradient, samples)


def one_sided(node, gradient, samples):
    found = reduced(node, gradient, samples)
    return found if node.rank == 0 else found * 4


def lost(node, gradient, samples):
    reduced(node, gradient, samples)


def alone(node, gradient, samples):
    if node.rank == 0:
        node.all_reduce(gradient)
    return gradient


def packed(node, gradient, samples):
    both = torch.cat([gradient * samples, torch.tensor([float(samples)])])
    node.all_reduce(both)
    return both[:-1] / both[-1]


def four_times_the_mean(node, gradient, samples):
    """Right on four nodes only."""
    total = torch.tensor([float(samples)])
    node.all_reduce(total)
    gradient *= 4 * samples / total
    node.all_reduce(gradient, op="mean")
    return gradient


def a_whole_count(node, gradient, samples):
    total = torch.tensor(samples)
    node.all_reduce(total)
    node.all_reduce(gradient.mul_(samples / int(total)))
    return gradient


def a_double_count_and_a_mean(node, gradient, samples):
    total = torch.tensor([samples], dtype=torch.float64)
    node.all_reduce(total, op="mean")
    gradient = gradient * (samples / total).float()
    node.all_reduce(gradient, op="mean")
    return gradient


def counts_gathered(node, gradient, samples):
    counts = torch.empty(node.world_size, dtype=torch.int64)
    node.all_gather(counts, torch.tensor([samples]))
    gradient = gradient * samples / counts.sum()
    node.all_reduce(gradient)
    return gradient


test_any_style_passes = passes(
    exercise.reduce, packed, a_whole_count, a_double_count_and_a_mean, counts_gathered
)

test_a_mistake_is_named = refused(
    exercise.reduce,
    (plain_mean, "of 4 nodes, on rank 0: the plain mean"),
    (four_times_the_mean, "of 3 nodes, on rank 0: the result differs"),
    (plain_sum, "you summed over nodes"),
    (no_division, "divide by their sum, 400"),
    (lambda node, g, n: reduced(node, g, n, op="mean"), "divided by the 4 nodes again"),
    (all_gradients, "one number, once each"),
    (chatty, "sends 18 messages where 12 would do"),
    (one_sided, "of 4 nodes, on rank 1: the result differs: 4 times what was asked"),
    (lost, "is there a `return`"),
    (alone, "waits in all_reduce"),
)
