"""An all-reduce by halves: a ring's bytes in the messages of doubling."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_04 as exercise
from ddl_lab.strategies.collectives import recursive_doubling_all_reduce, ring_all_reduce


def nobody_sends(node, tensor):
    tensor += 0


def only_the_first_half(node, tensor):
    low, high, distance = 0, len(tensor), node.world_size // 2
    while distance:
        peer, middle = node.rank ^ distance, (low + high) // 2
        keep, give = ((low, middle), (middle, high))[:: 1 if node.rank < peer else -1]
        sending = node.isend(tensor[slice(*give)], peer)
        low, high = keep
        came = torch.empty(high - low)
        node.recv(came, peer)
        tensor[low:high] += came
        sending.wait()
        distance //= 2


def the_all_reduce(node, tensor):
    node.all_reduce(tensor)


def swap(node, out, peer, size):
    came = torch.empty(size)
    sending = node.isend(out.clone(), peer)
    node.recv(came, peer)
    sending.wait()
    return came


def by_recursion(node, tensor, distance=None):
    distance = node.world_size // 2 if distance is None else distance
    if not distance:
        return
    peer = node.rank ^ distance
    lower, upper = tensor.chunk(2)
    mine, theirs = (lower, upper) if node.rank < peer else (upper, lower)
    mine += swap(node, theirs, peer, len(mine))
    by_recursion(node, mine, distance // 2)
    theirs.copy_(swap(node, mine, peer, len(theirs)))


def with_a_list_of_steps(node, tensor):
    steps, part, distance = [], tensor, node.world_size // 2
    while distance:
        halves = part.tensor_split(2)
        upper = bool(node.rank & distance)
        keep, give = halves[upper], halves[not upper]
        keep.add_(swap(node, give, node.rank ^ distance, len(keep)))
        steps.append((keep, give, node.rank ^ distance))
        part, distance = keep, distance // 2
    for keep, give, peer in reversed(steps):
        give[:] = swap(node, keep, peer, len(give))


def neighbours_first(node, tensor):
    view, distance, steps = tensor.view(-1, 1), 1, []
    while distance < node.world_size:
        peer = node.rank ^ distance
        mine, theirs = view[::2], view[1::2]
        if node.rank & distance:
            mine, theirs = theirs, mine
        mine += swap(node, theirs.flatten(), peer, len(mine))[:, None]
        steps.append((mine, theirs, peer))
        view, distance = mine, 2 * distance
    for mine, theirs, peer in reversed(steps):
        theirs.copy_(swap(node, mine.flatten(), peer, len(theirs))[:, None])


def gives_the_half_that_it_keeps(node, tensor, distance=None):
    distance = node.world_size // 2 if distance is None else distance
    if distance:
        lower, upper = tensor.chunk(2)
        mine, theirs = (upper, lower) if node.rank & distance else (lower, upper)
        mine += swap(node, mine, node.rank ^ distance, len(mine))
        gives_the_half_that_it_keeps(node, mine, distance // 2)
        theirs.copy_(swap(node, mine, node.rank ^ distance, len(theirs)))


def own_part_first(node, tensor):
    part, distance = tensor, node.world_size // 2
    while distance:
        halves = part.tensor_split(2)
        upper = bool(node.rank & distance)
        part = halves[upper] + swap(node, halves[not upper], node.rank ^ distance, len(part) // 2)
        distance //= 2
    while len(part) < len(tensor):
        distance = max(1, 2 * distance)
        part = torch.cat([part, swap(node, part, node.rank ^ distance, len(part))])
    tensor.copy_(part)


test_any_style_passes = passes(exercise.halves, by_recursion, with_a_list_of_steps, neighbours_first)

test_a_mistake_is_named = refused(
    exercise.halves,
    (own_part_first, "rank 1 has every sum, but in other places"),
    (gives_the_half_that_it_keeps, "rank 0's sum differs"),
    (only_the_first_half, "rank 0 has 8 of 16 elements summed"),
    (recursive_doubling_all_reduce, "whole tensors, by doubling"),
    (ring_all_reduce, "rank 0 sends 6 messages where 4 do: a ring"),
    (nobody_sends, "rank 0's sum"),
    (the_all_reduce, "messages where 4 do"),
)
