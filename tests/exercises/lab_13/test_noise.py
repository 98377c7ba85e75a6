"""The noise scale from the nodes' gradients."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_13 as exercise


def by_two_exchanges(node, gradient, batch):
    n, b, whole = node.world_size, batch, gradient.clone()
    small = gradient.norm().reshape(1) ** 2
    node.all_reduce(whole, op="mean")
    node.all_reduce(small, op="mean")
    large = (whole**2).sum()
    noise = (small - large) / (1 / b - 1 / (n * b))
    return noise / (large - noise / (n * b))


def by_solving(node, gradient, batch):
    n = node.world_size
    whole, squares = gradient / n, torch.empty(n)
    node.all_reduce(whole)
    node.all_gather(squares, gradient.dot(gradient).reshape(1))
    system = np.array([[1.0, 1 / batch], [1.0, 1 / (n * batch)]])
    signal, noise = np.linalg.solve(system, [squares.double().mean(), whole.double().pow(2).sum()])
    return noise / signal


def by_sums(node, gradient, batch):
    n, message = node.world_size, torch.cat([gradient, torch.einsum("i,i->", gradient, gradient)[None]])
    node.all_reduce(message, op="sum")
    small, large = float(message[-1]) / n, float(message[:-1].norm()) ** 2 / n**2
    return batch * n * (small - large) / (n * large - small)


test_any_style_passes = passes(exercise.noise, by_two_exchanges, by_solving, by_sums)


def by(formula, own=False):
    def answer(node, gradient, batch):
        whole, small = gradient.clone(), (gradient @ gradient).reshape(1)
        node.all_reduce(whole, op="mean")
        if not own:
            node.all_reduce(small, op="mean")
        return formula(small.item(), (whole @ whole).item(), node.world_size, batch)

    return answer


def signal(s, w, n):
    return (n * w - s) / (n - 1)


def noise(s, w, n, b):
    return (s - w) * b * n / (n - 1)


def gathers_all(node, gradient, batch):
    n = node.world_size
    everyones = torch.empty(n * len(gradient))
    node.all_gather(everyones, gradient)
    rows = everyones.view(n, -1)
    s, w = rows.pow(2).sum(1).mean().item(), rows.mean(0).pow(2).sum().item()
    return noise(s, w, n, batch) / signal(s, w, n)


def in_double(node, gradient, batch):
    return by_sums(node, gradient.double(), batch)


def returns_nothing(node, gradient, batch):
    by_sums(node, gradient, batch)


test_a_mistake_is_named = refused(
    exercise.noise,
    (by(lambda s, w, n, b: signal(s, w, n) / noise(s, w, n, b)), "the wrong way round"),
    (by(lambda s, w, n, b: noise(s, w, n, 1) / signal(s, w, n)), "the batch is missing"),
    (by(lambda s, w, n, b: noise(s, w, n, b) / w), "the mean gradient's square has noise in it"),
    (by(lambda s, w, n, b: noise(s, w, n, b) / s), "the nodes' squares have noise in them"),
    (by(lambda s, w, n, b: noise(s**0.5, w**0.5, n, b) / signal(s**0.5, w**0.5, n)), "not lengths"),
    (by(lambda s, w, n, b: noise(s, w, n, b) / signal(s, w, n), own=True), "not this rank's alone"),
    (by(lambda s, w, n, b: (s - w) * b / signal(s, w, n)), "n / (n − 1) is missing"),
    (by(lambda s, w, n, b: abs(noise(s, w, n, b) / signal(s, w, n))), "without its sign"),
    (by(lambda s, w, n, b: max(0.0, noise(s, w, n, b) / signal(s, w, n))), "cut off at 0"),
    (gathers_all, "and one number are all that travels"),
    (in_double, "in float32"),
    (returns_nothing, "is there a `return`"),
)
