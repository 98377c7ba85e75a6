"""A sum up a tree: any pairs, in ⌈log2 n⌉ rounds."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_04 as exercise


def all_to_rank_0(node, tensor):
    if node.rank:
        node.send(tensor, 0)
        return
    box = torch.empty_like(tensor)
    for src in range(1, node.world_size):
        node.recv(box, src)
        tensor += box


def a_tree_that_overwrites(node, tensor):
    distance = 1
    while distance < node.world_size:
        if node.rank % (2 * distance) == distance:
            node.send(tensor, node.rank - distance)
            return
        if node.rank + distance < node.world_size:
            node.recv(tensor, node.rank + distance)
        distance *= 2


def a_tree_for_powers_of_two(node, tensor):
    box, distance = torch.empty_like(tensor), 1
    while distance < node.world_size:
        if node.rank % (2 * distance) == distance:
            node.send(tensor, node.rank - distance)
            return
        node.recv(box, node.rank + distance)
        tensor += box
        distance *= 2


def a_tree_that_counts_twice(node, tensor):
    all_to_rank_0(node, tensor)
    if node.world_size > 1 and node.rank == 0:
        tensor[1] += 1


def nobody_sends(node, tensor):
    tensor += 0


def a_chain(node, tensor):
    if node.rank + 1 < node.world_size:
        box = torch.empty_like(tensor)
        node.recv(box, node.rank + 1)
        tensor += box
    if node.rank:
        node.send(tensor, node.rank - 1)


def two_chains(node, tensor):
    if node.rank + 2 < node.world_size:
        box = torch.empty_like(tensor)
        node.recv(box, node.rank + 2)
        tensor += box
    if node.rank > 1:
        node.send(tensor, node.rank - 2)
    elif node.rank == 1:
        node.send(tensor, 0)
    elif node.world_size > 1:
        box = torch.empty_like(tensor)
        node.recv(box, 1)
        tensor += box


def the_all_reduce(node, tensor):
    node.all_reduce(tensor)


def by_halving_the_ranks(node, tensor):
    left = node.world_size
    while left > 1:
        half = -(-left // 2)
        if half <= node.rank < left:
            node.send(tensor, node.rank - half)
        elif node.rank + half < left:
            box = torch.empty_like(tensor)
            node.recv(box, node.rank + half)
            tensor += box
        left = half


def by_the_bits_of_the_rank(node, tensor):
    bit = 1
    while bit < node.world_size and not node.rank & bit:
        if node.rank | bit < node.world_size:
            box = torch.zeros(tensor.shape)
            node.irecv(box, node.rank | bit).wait()
            tensor.add_(box)
        bit <<= 1
    if node.rank:
        node.isend(tensor, node.rank ^ bit).wait()


def by_recursion(node, tensor, low=0, high=None):
    high = node.world_size if high is None else high
    if high - low < 2:
        return
    size = 1
    while 2 * size < high - low:
        size *= 2
    middle = low + size
    by_recursion(node, tensor, *((low, middle) if node.rank < middle else (middle, high)))
    if node.rank == middle:
        node.send(tensor, low)
    elif node.rank == low:
        box = torch.empty_like(tensor)
        node.recv(box, middle)
        tensor += box


test_any_style_passes = passes(exercise.tree, by_halving_the_ranks, by_the_bits_of_the_rank, by_recursion)

test_a_mistake_is_named = refused(
    exercise.tree,
    (all_to_rank_0, "of 4 nodes rank 0 receives 3 messages where 2 do"),
    (a_tree_that_overwrites, "the tensor of rank 0 isn't in what rank 0 ends up with"),
    (a_tree_for_powers_of_two, "recv(src=3)"),
    (a_tree_that_counts_twice, "the tensor of rank 1 is in rank 0's sum twice"),
    (nobody_sends, "the tensor of rank 1 isn't in"),
    (a_chain, "takes 3 rounds one after another where 2 do: a chain"),
    (two_chains, "rounds one after another where"),
    (the_all_reduce, "rank 1 sends"),
)
