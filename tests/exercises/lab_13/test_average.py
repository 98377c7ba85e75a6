"""Local steps, and an average now and then."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_13 as exercise


def counting_down(node, theta, gradient_at, steps, every, lr):
    left = every
    while steps:
        theta -= lr * gradient_at(theta)
        steps, left = steps - 1, left - 1
        if not left or not steps:
            node.all_reduce(theta, op="sum")
            theta /= node.world_size
            left = every
    return theta


def by_periods(node, theta, gradient_at, steps, every, lr):
    for first in range(0, steps, every):
        for _ in range(min(every, steps - first)):
            theta = torch.add(theta, gradient_at(theta), alpha=-lr)
        everyones = torch.empty(node.world_size * len(theta))
        node.all_gather(everyones, theta)
        theta = everyones.view(node.world_size, -1).mean(0)
    return theta


def in_double_at_home(node, theta, gradient_at, steps, every, lr):
    theta = theta.double()
    for step in range(1, steps + 1):
        theta = theta - lr * gradient_at(theta)
        if step in (*range(every, steps, every), steps):
            sent = theta.float()
            node.all_reduce(sent, op="mean")
            theta = sent.double()
    return theta


def by_reduce_and_broadcast(node, theta, gradient_at, steps, every, lr):
    for step in range(steps):
        theta = theta - lr * gradient_at(theta)
        if (step + 1) % every == 0 or step == steps - 1:
            node.reduce(theta, 0, op="mean")
            node.broadcast(theta, 0)
    return theta


test_any_style_passes = passes(
    exercise.average, counting_down, by_periods, by_reduce_and_broadcast, in_double_at_home
)


def by(
    when=lambda step, every, steps: step % every == 0 or step == steps, op="mean", what="theta", first=False
):
    def answer(node, theta, gradient_at, steps, every, lr):
        for step in range(1, steps + 1):
            due = when(step, every, steps)
            if first and due:
                node.all_reduce(theta, op=op)
            gradient = gradient_at(theta)
            if what == "gradient" and due:
                node.all_reduce(gradient, op=op)
            theta = theta - lr * gradient
            if what == "theta" and due and not first:
                node.all_reduce(theta, op=op)
        return theta

    return answer


def twice(node, theta, gradient_at, steps, every, lr):
    for step in range(1, steps + 1):
        theta = theta - lr * gradient_at(theta)
        if step % every == 0 or step == steps:
            node.all_reduce(theta, op="mean")
            node.all_reduce(theta, op="mean")
    return theta


def once_more_at_the_end(node, theta, gradient_at, steps, every, lr):
    for step in range(1, steps + 1):
        theta = theta - lr * gradient_at(theta)
        if step % every == 0:
            node.all_reduce(theta, op="mean")
    node.all_reduce(theta, op="mean")
    return theta


def in_double_all_the_way(node, theta, gradient_at, steps, every, lr):
    return by()(node, theta.double(), gradient_at, steps, every, lr)


def at_another_rate(node, theta, gradient_at, steps, every, lr):
    return by()(node, theta, gradient_at, steps, every, 0.25)


def rank_0_for_all(node, theta, gradient_at, steps, every, lr):
    for step in range(1, steps + 1):
        theta = theta - lr * gradient_at(theta)
        if step % every == 0 or step == steps:
            node.broadcast(theta, 0)
    return theta


def returns_nothing(node, theta, gradient_at, steps, every, lr):
    by()(node, theta, gradient_at, steps, every, lr)


test_a_mistake_is_named = refused(
    exercise.average,
    (by(lambda step, every, steps: step % every == 0), "one more average after the last step"),
    (
        by(lambda step, every, steps: (step - 1) % every == 0 or step == steps),
        "after the first step of each period, and at the end",
    ),
    (by(lambda step, every, steps: (step - 1) % every == 0), "you average a step too early"),
    (by(lambda step, every, steps: True), "between averages each rank goes its own way"),
    (by(lambda step, every, steps: step == steps), "you average at the end alone"),
    (by(op="sum"), "you add the parameters up"),
    (by(what="gradient"), "it is the gradients that you average"),
    (by(first=True), "you average a step too early"),
    (once_more_at_the_end, "nor twice at the end"),
    (twice, "nothing travels before averages and between them"),
    (in_double_all_the_way, "nor in double"),
    (by(lambda step, every, steps: False), "this one ends where it would alone"),
    (at_another_rate, "2 nodes, 7 steps, an average every 3: rank 0's theta differs"),
    (rank_0_for_all, "this one ends where it would alone"),
    (returns_nothing, "is there a `return`"),
)
