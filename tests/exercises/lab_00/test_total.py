"""A sum: right by any calls of the node, wrong where a node lacks it or nothing is sent."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_00 as exercise


def filled_in(line):
    def answer(node):
        value = torch.tensor([float(node.rank)])
        line(node, value)
        return value.item()

    return answer


def gathered_at_0(node, value):
    if node.rank:
        node.send(value, 0)
    for source in range(1, node.world_size if node.rank == 0 else 0):
        other = torch.zeros(1)
        node.recv(other, source)
        value += other


def overwrites(node, value):
    value = sum(range(node.world_size))
    del value


def forgets(node):
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value)


def by_one_all_reduce(node):
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value)
    return float(value)


def by_all_gather_and_sum(node):
    value, everyone = torch.tensor([float(node.rank)]), torch.empty(node.world_size)
    node.all_gather(everyone, value)
    return everyone.sum().item()


def by_the_mean_times_n(node):
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value, op="mean")
    return value.item() * node.world_size


def at_rank_0_then_broadcast(node):
    value = torch.tensor([float(node.rank)])
    gathered_at_0(node, value)
    node.broadcast(value, 0)
    return value.numpy()[0]


def as_a_tensor(node):
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value)
    return value


def as_an_array(node):
    return as_a_tensor(node).sum().numpy()


def as_a_list(node):
    return as_a_tensor(node).tolist()


test_a_sum_is_right_by_any_calls = passes(
    exercise.total,
    as_an_array,
    as_a_tensor,
    by_one_all_reduce,
    by_all_gather_and_sum,
    by_the_mean_times_n,
    at_rank_0_then_broadcast,
)

test_a_mistake_is_named = refused(
    exercise.total,
    (as_a_list, "rank 0's result is a list: a number was asked"),
    (
        filled_in(lambda node, v: node.broadcast(v, node.world_size - 1)),
        "3, the largest rank: the sum of all",
    ),
    (filled_in(lambda node, v: node.all_reduce(v.clone())), "what was sent didn't get into `value`"),
    (filled_in(overwrites), "each node returns its own rank: nothing was sent"),
    (filled_in(lambda node, v: v.fill_(sum(range(node.world_size)))), "6 is right, but nothing was sent"),
    (filled_in(lambda node, v: node.all_reduce(v, op="mean")), "the mean: the sum is 4 times as large"),
    (filled_in(lambda node, v: node.all_reduce(v, op="max")), "the largest rank"),
    (filled_in(gathered_at_0), "6 is the sum, but not every node has it"),
    (filled_in(lambda node, v: node.all_reduce(v, op="add")), "rank 0 raised ValueError"),
    (forgets, "rank 0 returns None"),
    (filled_in(lambda node, v: node.rank or node.all_reduce(v)), "no node can go on"),
)
