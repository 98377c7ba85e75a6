"""A step on fewer nodes that is the same step."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_14 as exercise


def with_the_count_along(node, mean_gradient, theta, rows, seen, batch, lr):
    mine = torch.tensor_split(rows[seen : seen + batch], node.world_size)[node.rank]
    message = torch.cat([mean_gradient(theta, mine) * len(mine), torch.tensor([float(len(mine))])])
    node.all_reduce(message)
    return theta - lr * message[:-1] / message[-1]


def by_the_mean_of_weighted(node, mean_gradient, theta, rows, seen, batch, lr):
    step = rows[seen:][:batch].tolist()
    mine = torch.tensor([row for place, row in enumerate(step) if place % node.world_size == node.rank])
    gradient = mean_gradient(theta, mine) * len(mine) * node.world_size / len(step)
    node.all_reduce(gradient, op="mean")
    return torch.sub(theta, gradient, alpha=lr)


def by_blocks(node, mean_gradient, theta, rows, seen, batch, lr):
    end = min(seen + batch, len(rows))
    low, high = ((end - seen) * place // node.world_size for place in (node.rank, node.rank + 1))
    gradient = (high - low) / (end - seen) * mean_gradient(theta, rows[seen + low : seen + high])
    node.all_reduce(gradient, op="sum")
    return theta - lr * gradient


test_any_style_passes = passes(exercise.fewer, with_the_count_along, by_the_mean_of_weighted, by_blocks)


def answer(start=True, weigh=True, op="sum", divide=True, up=False, whole=False, full=False):
    def step(node, mean_gradient, theta, rows, seen, batch, lr):
        begin = seen if start else 0
        asked = rows[begin : begin + batch * (node.world_size if whole else 1)]
        mine = asked[node.rank :: node.world_size]
        gradient = mean_gradient(theta, mine) * (len(mine) if weigh else 1)
        node.all_reduce(gradient, op=op)
        by = (batch if full else len(asked)) if divide and weigh else 1
        return theta + (1 if up else -1) * lr * gradient / by

    return step


def left_over(node, mean_gradient, theta, rows, seen, batch, lr):
    each = batch // node.world_size
    gradient = mean_gradient(theta, rows[seen + node.rank * each : seen + (node.rank + 1) * each])
    node.all_reduce(gradient, op="mean")
    return theta - lr * gradient


def alone(node, mean_gradient, theta, rows, seen, batch, lr):
    return theta - lr * mean_gradient(theta, rows[seen : seen + batch][node.rank :: node.world_size])


def at_another_rate(node, mean_gradient, theta, rows, seen, batch, lr):
    return answer()(node, mean_gradient, theta, rows, seen, batch, 0.1)


def each_takes_all(node, mean_gradient, theta, rows, seen, batch, lr):
    return theta - lr * mean_gradient(theta, rows[seen : seen + batch])


def in_chunks(node, mean_gradient, theta, rows, seen, batch, lr):
    step = rows[seen : seen + batch]
    size = -(-len(step) // node.world_size)
    mine = step[node.rank * size :][:size]
    gradient = mean_gradient(theta, mine) * len(mine)
    node.all_reduce(gradient)
    return theta - lr * gradient / len(step)


def twice(node, mean_gradient, theta, rows, seen, batch, lr):
    node.all_reduce(theta.clone())
    return answer()(node, mean_gradient, theta, rows, seen, batch, lr)


def nothing(node, mean_gradient, theta, rows, seen, batch, lr):
    answer()(node, mean_gradient, theta, rows, seen, batch, lr)


test_a_mistake_is_named = refused(
    exercise.fewer,
    (answer(start=False), "come a second time"),
    (answer(weigh=False, op="mean"), "a plain mean counts them alike"),
    (answer(weigh=False), "divide by the rows"),
    (answer(divide=False), "the mean was asked"),
    (answer(full=True), "the last one of an epoch has fewer"),
    (answer(whole=True), "the batch of all nodes together"),
    (answer(up=True), "uphill"),
    (left_over, "nobody takes them"),
    (alone, "that is one rank's step"),
    (at_another_rate, "the learning rate is lr"),
    (each_takes_all, "share them, each row once"),
    (in_chunks, "each node needs one at least"),
    (twice, "one all-reduce of the gradient does"),
    (nothing, "is there a `return`"),
)
