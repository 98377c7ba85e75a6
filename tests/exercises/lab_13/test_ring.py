"""The mean with two neighbours."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_13 as exercise


def receives_first(node, theta):
    n, boxes = node.world_size, [torch.empty_like(theta), torch.empty_like(theta)]
    sides = [(node.rank - 1) % n, (node.rank + 1) % n]
    handles = [node.irecv(box, side) for box, side in zip(boxes, sides, strict=True)]
    handles += [node.isend(theta, side) for side in sides]
    for handle in handles:
        handle.wait()
    return torch.stack([theta, *boxes]).mean(0)


def whoever_comes(node, theta):
    total, box = theta.clone(), torch.empty_like(theta)
    sides = [(node.rank + step) % node.world_size for step in (1, node.world_size - 1)]
    sending = [node.isend(theta, side) for side in sides]
    for _ in sides:
        node.recv(box)
        total += box
    for handle in sending:
        handle.wait()
    return total / 3


def round_the_ring_twice(node, theta):
    left, right = (node.rank - 1) % node.world_size, (node.rank + 1) % node.world_size
    found = theta.clone()
    for there, back in ((left, right), (right, left)):
        box = torch.empty_like(theta)
        going = node.isend(theta, there)
        node.recv(box, back)
        going.wait()
        found.add_(box)
    return found.div(3)


test_any_style_passes = passes(exercise.ring, receives_first, whoever_comes, round_the_ring_twice)


def by(mix):
    def answer(node, theta):
        n = node.world_size
        boxes = [torch.empty_like(theta) for _ in range(2)]
        sides = [(node.rank - 1) % n, (node.rank + 1) % n]
        handles = [node.isend(theta, side) for side in sides]
        for box, side in zip(boxes, sides, strict=True):
            node.recv(box, side)
        for handle in handles:
            handle.wait()
        return mix(theta, *boxes)

    return answer


def with_all(node, theta):
    node.all_reduce(theta, op="mean")
    return theta


def all_gathered(node, theta):
    rows = torch.empty(node.world_size * len(theta))
    node.all_gather(rows, theta)
    rows = rows.view(node.world_size, -1)
    return (rows[node.rank - 1] + rows[node.rank] + rows[(node.rank + 1) % node.world_size]) / 3


def all_send_first(node, theta):
    left, right = (node.rank - 1) % node.world_size, (node.rank + 1) % node.world_size
    one, other = torch.empty_like(theta), torch.empty_like(theta)
    node.send(theta, right)
    node.recv(one, left)
    node.send(theta, left)
    node.recv(other, right)
    return (theta + one + other) / 3


def announced(node, theta):
    sides = [(node.rank - 1) % node.world_size, (node.rank + 1) % node.world_size]
    handles = [node.isend(torch.zeros(0), side) for side in sides]
    for side in sides:
        node.recv(torch.zeros(0), side)
    for handle in handles:
        handle.wait()
    return receives_first(node, theta)


def not_closed(node, theta):
    node.send(theta, node.rank + 1)
    return theta


test_a_mistake_is_named = refused(
    exercise.ring,
    (with_all, "you average with all nodes"),
    (all_gathered, "to the two neighbours alone"),
    (by(lambda own, left, right: (left + right) / 2), "this rank's own is missing"),
    (by(lambda own, left, right: own + left + right), "the sum of three"),
    (by(lambda own, left, right: own / 2 + (left + right) / 4), "counts half"),
    (by(lambda own, left, right: (own + left) / 2), "with the left neighbour only"),
    (by(lambda own, left, right: (own + 2 * right) / 3), "the right neighbour counts twice"),
    (by(lambda own, left, right: own), "nothing arrives"),
    (all_send_first, "no node can go on"),
    (announced, "one to each neighbour, with all"),
    (not_closed, "rank"),
)
