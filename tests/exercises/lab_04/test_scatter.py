"""Reduce-scatter around a ring, to either side."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_04 as exercise
from ddl_lab.strategies.collectives import ring_all_reduce


def ring(node, chunks, first=1, add=True, whole=False):
    n, rank = node.world_size, node.rank
    for step in range(n - 1):
        send, own = (rank - first - step) % n, (rank - first - 1 - step) % n
        out = torch.cat(chunks) if whole else chunks[send]
        sending = node.isend(out, (rank + 1) % n)
        came = torch.empty(sum(map(len, chunks))) if whole else torch.empty_like(chunks[own])
        node.recv(came, (rank - 1) % n)
        if whole:
            came = came.split([len(chunk) for chunk in chunks])[own]
        chunks[own].mul_(float(add)).add_(came)
        sending.wait()


def the_right_ring(node, chunks):
    ring(node, chunks)
    return chunks[node.rank]


def a_ring_of_whole_tensors(node, chunks):
    ring(node, chunks, whole=True)
    return chunks[node.rank]


def a_ring_that_starts_late(node, chunks):
    ring(node, chunks, first=0)
    return chunks[node.rank]


def a_ring_that_returns_another_chunk(node, chunks):
    ring(node, chunks, first=0)
    return chunks[(node.rank + 1) % node.world_size]


def a_ring_that_overwrites(node, chunks):
    ring(node, chunks, add=False)
    return chunks[node.rank]


def a_whole_all_reduce(node, chunks):
    tensor = torch.cat(chunks)
    ring_all_reduce(node, tensor)
    return tensor.split([len(chunk) for chunk in chunks])[node.rank]


def the_call_itself(node, chunks):
    own = torch.empty_like(chunks[node.rank])
    node.reduce_scatter(own, chunks)
    return own


def a_ring_that_waits_for_itself(node, chunks):
    n, rank = node.world_size, node.rank
    for step in range(n - 1):
        node.send(chunks[(rank - 1 - step) % n], (rank + 1) % n)
        own = chunks[(rank - 2 - step) % n]
        came = torch.empty_like(own)
        node.recv(came, (rank - 1) % n)
        own += came
    return chunks[rank]


def straight_to_their_ranks(node, chunks):
    sending = [node.isend(chunk, dst) for dst, chunk in enumerate(chunks) if dst != node.rank]
    own, box = chunks[node.rank].clone(), torch.empty_like(chunks[node.rank])
    for src in range(node.world_size):
        if src != node.rank:
            node.recv(box, src)
            own += box
    for handle in sending:
        handle.wait()
    return own


def a_step_too_few(node, chunks):
    n, rank = node.world_size, node.rank
    for step in range(1, n - 1):
        sending = node.isend(chunks[(rank - 1 - step) % n], (rank + 1) % n)
        came = torch.empty_like(chunks[(rank - 2 - step) % n])
        node.recv(came, (rank - 1) % n)
        chunks[(rank - 2 - step) % n] += came
        sending.wait()
    return chunks[rank]


def around_to_the_left(node, chunks):
    n, rank = node.world_size, node.rank
    for step in range(n - 1):
        sending = node.isend(chunks[(rank + 1 + step) % n], (rank - 1) % n)
        own = chunks[(rank + 2 + step) % n]
        came = torch.empty_like(own)
        node.recv(came, (rank + 1) % n)
        own += came
        sending.wait()
    return chunks[rank]


def one_running_sum(node, chunks):
    n, rank = node.world_size, node.rank
    running = chunks[rank - 1]
    for step in range(2, n + 1):
        came = torch.zeros_like(chunks[rank - step])
        coming = node.irecv(came, (rank - 1) % n)
        node.isend(running, (rank + 1) % n).wait()
        coming.wait()
        running = came + chunks[rank - step]
    return running


def even_ranks_send_first(node, chunks):
    n, rank = node.world_size, node.rank
    for step in range(n - 1):
        own = chunks[(rank - 2 - step) % n]
        came = torch.empty_like(own)
        calls = [lambda k=step: node.send(chunks[(rank - 1 - k) % n], (rank + 1) % n)]
        calls.append(lambda box=came: node.recv(box, (rank - 1) % n))
        for call in calls if (rank % 2 == 0 and rank + 1 < n) or rank == 0 else reversed(calls):
            call()
        own += came
    return chunks[rank]


def a_ring_that_needs_a_neighbour(node, chunks):
    n, rank = node.world_size, node.rank
    sending = node.isend(chunks[rank - 1], (rank + 1) % n)
    for step in range(2, n + 1):
        came = torch.empty_like(chunks[rank - step])
        node.recv(came, (rank - 1) % n)
        sending.wait()
        running = chunks[rank - step] + came
        if step < n:
            sending = node.isend(running, (rank + 1) % n)
    return running


def all_boxes_at_once(node, chunks):
    n, rank = node.world_size, node.rank
    boxes = [torch.zeros_like(chunk) for chunk in chunks]
    coming = {(rank - step) % n: None for step in range(2, n + 1)}
    coming = {chunk: node.irecv(boxes[chunk], (rank - 1) % n) for chunk in coming if n > 1}
    for step in range(1, n):
        node.isend(chunks[rank - step], (rank + 1) % n)
        coming[(rank - step - 1) % n].wait()
        chunks[rank - step - 1] = chunks[rank - step - 1] + boxes[rank - step - 1]
    return chunks[rank]


test_any_style_passes = passes(
    exercise.scatter,
    all_boxes_at_once,
    the_right_ring,
    around_to_the_left,
    one_running_sum,
    even_ranks_send_first,
)

test_a_mistake_is_named = refused(
    exercise.scatter,
    (a_ring_that_needs_a_neighbour, "names the node itself"),
    (a_ring_of_whole_tensors, "that is the whole tensor n−1 times"),
    (a_ring_that_starts_late, "in step 0 rank r sends chunk r−1"),
    (a_ring_that_returns_another_chunk, "rank 0 returns chunk 1"),
    (a_ring_that_overwrites, "rank 0 returns its chunk without what rank"),
    (a_whole_all_reduce, "that is a whole all-reduce"),
    (a_ring_that_waits_for_itself, "waits"),
    (ring, "is there a `return`"),
    (straight_to_their_ranks, "rank 0 sends to rank 2: around a ring"),
    (a_step_too_few, "sends 2 messages where 3 do: a step is missing"),
    (the_call_itself, "that is the node's own collective"),
)
