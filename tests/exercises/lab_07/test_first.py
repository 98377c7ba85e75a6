"""A server of the first k."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_07 as exercise


def server(
    take=lambda node, box, turn: node.recv(box), mean=True, everybody=False, early=False, silent=False
):
    def first_k(node, theta, k, steps, lr):
        box = torch.empty_like(theta)
        for _ in range(steps):
            total, came = torch.zeros_like(theta), []
            for turn in range(k):
                came.append(take(node, box, turn))
                total += box
                if early:
                    node.isend(theta, came[-1])
            theta = theta - lr * total / (k if mean else 1)
            for worker in range(1, node.world_size) if everybody else came:
                if not (early or silent):
                    node.isend(theta, worker)
        return theta

    return first_k


def none_back(node, theta, k, steps, lr):
    server()(node, theta, k, steps, lr)


by_isend = server()
by_isend.__name__ = "by_isend"


def by_send_with_a_running_mean(node, theta, k, steps, lr):
    box = torch.empty_like(theta)
    for _ in range(steps):
        mean, came = torch.zeros_like(theta), []
        for turn in range(k):
            came.append(node.recv(box))
            mean += (box - mean) / (turn + 1)
        theta.sub_(mean, alpha=lr)
        for worker in came:
            node.send(theta, worker)
    return theta


def with_a_box_each(node, theta, k, steps, lr):
    for _ in range(steps):
        boxes = torch.empty(k, len(theta))
        came = [node.recv(box, src=None) for box in boxes]
        theta = theta - lr * boxes.mean(0)
        for handle in [node.isend(theta, worker) for worker in came]:
            handle.wait()
    return theta


def counting_all_gradients(node, theta, k, steps, lr):
    waiting, total, box = [], torch.zeros_like(theta), torch.empty_like(theta)
    for count in range(1, k * steps + 1):
        waiting.append(node.recv(box))
        total = total + box
        if count % k == 0:
            theta = theta - lr / k * total
            total = torch.zeros_like(theta)
            while waiting:
                node.isend(theta, waiting.pop())
    return theta


def in_double_precision(node, theta, k, steps, lr):
    theta = theta.double()
    for _ in range(steps):
        boxes = torch.empty(k, len(theta))
        came = [node.recv(box) for box in boxes]
        theta = theta - lr * boxes.double().mean(0)
        for worker in came:
            node.isend(theta.float(), worker)
    return theta


def from_zero(node, theta, k, steps, lr):
    return by_isend(node, torch.zeros_like(theta), k, steps, lr)


def at_the_first_rate(node, theta, k, steps, lr):
    return by_isend(node, theta, k, steps, 0.5)


def a_step_too_few(node, theta, k, steps, lr):
    return by_isend(node, theta, k, steps - 1, lr)


test_any_style_passes = passes(
    exercise.first,
    by_isend,
    by_send_with_a_running_mean,
    with_a_box_each,
    counting_all_gradients,
    in_double_precision,
)

test_a_mistake_is_named = refused(
    exercise.first,
    (server(mean=False), "you took the sum of the k gradients"),
    (server(take=lambda node, box, turn: node.recv(box, turn + 1)), "you wait for ranks 1 to k"),
    (server(early=True), "you answer before the step is taken"),
    (server(everybody=True), "only those k whose gradients came"),
    (server(silent=True), "wait"),
    (from_zero, "k = 1: your server ends at"),
    (at_the_first_rate, "k = 2: your server ends at"),
    (none_back, "is there a `return`"),
    (a_step_too_few, "of 5 nodes, rank 0 sends 9 messages where 10 do"),
)
