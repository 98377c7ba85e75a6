"""All-gather by doubling: log2 n messages, chunks in rank order."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_04 as exercise


def gathered(node, chunk, in_order=True, everything=False):
    have, distance, n = chunk, 1, node.world_size
    while distance < n:
        peer = node.rank ^ distance
        padded = torch.zeros(len(chunk) * n) if everything else torch.empty_like(have)
        out = torch.cat([have, torch.zeros(len(padded) - len(have))]) if everything else have
        sending = node.isend(out, peer)
        node.recv(padded, peer)
        sending.wait()
        theirs = padded[: len(have)]
        have = torch.cat([theirs, have] if in_order and peer < node.rank else [have, theirs])
        distance *= 2
    return have


def gathered_in_any_order(node, chunk):
    return gathered(node, chunk, in_order=False)


def gathered_with_everything(node, chunk):
    return gathered(node, chunk, everything=True)


def gathered_around_a_ring(node, chunk):
    n, rank = node.world_size, node.rank
    chunks = [torch.empty_like(chunk) for _ in range(n)]
    chunks[rank] = chunk
    for step in range(n - 1):
        sending = node.isend(chunks[(rank - step) % n], (rank + 1) % n)
        node.recv(chunks[(rank - step - 1) % n], (rank - 1) % n)
        sending.wait()
    return torch.cat(chunks)


def gathered_from_one_partner(node, chunk):
    theirs = torch.empty_like(chunk)
    if node.world_size > 1:
        sending = node.isend(chunk, node.rank ^ 1)
        node.recv(theirs, node.rank ^ 1)
        sending.wait()
    return torch.cat([chunk, theirs])


def the_all_gather(node, chunk):
    every = torch.empty(node.world_size * len(chunk))
    node.all_gather(every, chunk)
    return every


def by_distance(node, chunk):
    return gathered(node, chunk)


def into_one_tensor(node, chunk):
    n, k, rank = node.world_size, len(chunk), node.rank
    every = torch.zeros(n * k)
    every[rank * k : (rank + 1) * k] = chunk
    block = 1
    while block < n:
        mine, theirs = rank // block * block, (rank // block ^ 1) * block
        sending = node.isend(every[mine * k : (mine + block) * k].clone(), rank ^ block)
        node.recv(every[theirs * k : (theirs + block) * k], rank ^ block)
        sending.wait()
        block *= 2
    return every


def by_bruck(node, chunk):
    n, have, distance = node.world_size, [chunk], 1
    while distance < n:
        sending = node.isend(torch.cat(have), (node.rank - distance) % n)
        came = torch.empty(distance * len(chunk))
        node.recv(came, (node.rank + distance) % n)
        sending.wait()
        have += came.split(len(chunk))
        distance *= 2
    return torch.cat([have[(place - node.rank) % n] for place in range(n)])


def by_recursion(node, chunk, distance=1):
    if distance == node.world_size:
        return chunk
    peer, theirs = node.rank ^ distance, torch.empty_like(chunk)
    coming = node.irecv(theirs, peer)
    node.isend(chunk, peer).wait()
    coming.wait()
    pair = [chunk, theirs] if node.rank < peer else [theirs, chunk]
    return by_recursion(node, torch.cat(pair), 2 * distance)


def sorted_by_its_first(node, chunk):
    rows = gathered_in_any_order(node, chunk).view(node.world_size, -1)
    return rows[rows[:, 0].argsort()].flatten()


def of_two_numbers(node, chunk):
    """As ``into_one_tensor``, for chunks of two."""
    n, rank, block = node.world_size, node.rank, 1
    every = torch.zeros(2 * n)
    every[2 * rank : 2 * rank + 2] = chunk
    while block < n:
        mine, theirs = 2 * (rank // block * block), 2 * ((rank // block ^ 1) * block)
        sending = node.isend(every[mine : mine + 2 * block].clone(), rank ^ block)
        node.recv(every[theirs : theirs + 2 * block], rank ^ block)
        sending.wait()
        block *= 2
    return every


def the_lower_rank_sends_first(node, chunk):
    have, distance = chunk, 1
    while distance < node.world_size:
        peer, theirs = node.rank ^ distance, torch.empty_like(have)
        calls = [lambda out=have, to=peer: node.send(out, to), lambda box=theirs, at=peer: node.recv(box, at)]
        for call in calls if node.rank < peer else reversed(calls):
            call()
        have = torch.cat([have, theirs] if node.rank < peer else [theirs, have])
        distance += distance
    return have


test_any_style_passes = passes(
    exercise.gather, the_lower_rank_sends_first, by_distance, into_one_tensor, by_bruck, by_recursion
)

test_a_mistake_is_named = refused(
    exercise.gather,
    (of_two_numbers, "what rank 0 of 2 returns has shape (4,): (2,) was asked"),
    (sorted_by_its_first, "rank 0 has the chunks in the order 1, 0: the lower"),
    (gathered_in_any_order, "rank 1 has the chunks in the order 1, 0: the lower rank's"),
    (gathered_with_everything, "the whole result each round"),
    (gathered_around_a_ring, "rank 0 sends 3 messages where 2 do: a ring"),
    (gathered_from_one_partner, "(2,) was asked"),
    (the_all_gather, "rank 0 sends 3 messages where 2 do"),
)
