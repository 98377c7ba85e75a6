"""Lab 04's exercises: likely mistakes are named, other right ways pass."""

import math

import pytest
import torch

from ddl_lab.exercises import lab_04
from ddl_lab.exercises.machine import NOT_YET, RIGHT
from ddl_lab.strategies.collectives import recursive_doubling_all_reduce, ring_all_reduce

# a sum up a tree


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


# reduce-scatter around a ring


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


# all-gather by doubling


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


# the bytes of a ring, the messages of doubling


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


# costs


def fit(rows, right):
    rows, right = torch.tensor(rows, dtype=torch.float64), torch.tensor(right, dtype=torch.float64)
    alpha, beta = torch.linalg.lstsq(rows, right[:, None]).solution.flatten().tolist()
    return alpha, 1 / beta


def ring_fit(messages, chunks, relative=True):
    """A learner's fit that counts so many messages, and so many tensors, by the number of nodes."""

    def link(nodes, sizes, seconds):
        weights = [1 / t if relative else 1.0 for t in seconds]
        rows = [[messages(nodes) * w, chunks(nodes) * s * w] for s, w in zip(sizes, weights, strict=True)]
        return fit(rows, [t * w for t, w in zip(seconds, weights, strict=True)])

    return link


def steps(n):
    return 2 * (n - 1)


def chunks(n):
    return 2 * (n - 1) / n


def a_second_a_byte(nodes, sizes, seconds):
    alpha, bandwidth = ring_fit(steps, chunks)(nodes, sizes, seconds)
    return alpha, 1 / bandwidth


def crossing(rounds, messages, tensors, unit=1.0):
    def crossover(nodes, cluster):
        link = cluster.latency_s * cluster.bandwidth_bytes_per_s
        more, fewer = messages(nodes) - rounds(nodes), rounds(nodes) - tensors(nodes)
        return more / fewer * link * unit if fewer else 0.0

    return crossover


def depth(n):
    return math.ceil(math.log2(n))


def both(n):
    return 2 * depth(n)


def in_seconds(nodes, cluster):
    return crossing(both, steps, chunks)(nodes, cluster) / cluster.bandwidth_bytes_per_s


WRONG = [
    ("tree", all_to_rank_0, "of 4 nodes rank 0 receives 3 messages where 2 do"),
    ("tree", a_tree_that_overwrites, "the tensor of rank 0 isn't in what rank 0 ends up with"),
    ("tree", a_tree_for_powers_of_two, "recv(src=3)"),
    ("tree", a_tree_that_counts_twice, "the tensor of rank 1 is in rank 0's sum twice"),
    ("tree", nobody_sends, "the tensor of rank 1 isn't in"),
    ("scatter", a_ring_of_whole_tensors, "that is the whole tensor n−1 times"),
    ("scatter", a_ring_that_starts_late, "in step 0 rank r sends chunk r−1"),
    ("scatter", a_ring_that_returns_another_chunk, "rank 0 returns chunk 1"),
    ("scatter", a_ring_that_overwrites, "rank 0 returns its chunk without what rank"),
    ("scatter", a_whole_all_reduce, "that is a whole all-reduce"),
    ("scatter", a_ring_that_waits_for_itself, "waits"),
    ("scatter", ring, "is there a `return`"),
    ("gather", gathered_in_any_order, "rank 1 has the chunks in the order 1, 0: the lower rank's"),
    ("gather", gathered_with_everything, "the whole result each round"),
    ("gather", gathered_around_a_ring, "rank 0 sends 3 messages where 2 do: a ring"),
    ("gather", gathered_from_one_partner, "(2,) was asked"),
    ("link", ring_fit(lambda n: 1, lambda n: 1), "6 times too large, and a ring of 4 pays 6 latencies"),
    ("link", ring_fit(lambda n: n - 1, lambda n: (n - 1) / n), "twice too large"),
    ("link", ring_fit(steps, lambda n: 1), "your bandwidth is the tensor's bytes by its time"),
    ("link", ring_fit(steps, chunks, relative=False), "the long times decide it alone"),
    ("link", a_second_a_byte, "the bandwidth is 1/β"),
    ("link", lambda nodes, sizes, seconds: 1.0, "return two numbers"),
    ("crossover", crossing(depth, steps, chunks), "goes up and down"),
    ("crossover", crossing(both, steps, steps), "a message of the ring has S/n bytes"),
    ("crossover", crossing(both, lambda n: n - 1, lambda n: (n - 1) / n), "the ring goes around twice"),
    ("crossover", crossing(lambda n: 2 * math.log2(n), steps, chunks), "a tree's depth is ⌈log2 n⌉"),
    ("crossover", crossing(both, steps, chunks, unit=1e-3), "that is in kB"),
    ("crossover", in_seconds, "that is in seconds"),
    ("crossover", lambda nodes, cluster: "many", "return one number"),
    ("halves", only_the_first_half, "rank 0 has 8 of 16 elements summed"),
    ("halves", recursive_doubling_all_reduce, "whole tensors, by doubling"),
    ("halves", ring_all_reduce, "rank 0 sends 6 messages where 4 do: a ring"),
    ("halves", nobody_sends, "rank 0's sum"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_likely_mistake_is_named(name, answer, words):
    verdict = getattr(lab_04, name).judge(answer)
    assert verdict.state == NOT_YET and words in verdict.text, verdict.text


def test_other_right_ways_pass():
    assert lab_04.scatter.judge(the_right_ring).state == RIGHT
    assert lab_04.scatter.judge(the_call_itself).state == RIGHT  # the node's own ring: the same traffic
    assert lab_04.gather.judge(gathered).state == RIGHT
    assert lab_04.link.judge(ring_fit(steps, chunks)).state == RIGHT
    assert lab_04.crossover.judge(crossing(both, steps, chunks)).state == RIGHT
