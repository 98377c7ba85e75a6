"""Where FedAvg comes to rest."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_12 as exercise


def by_rounds(a, b, lr, steps):
    x = 0.0
    for _ in range(5000):
        ends = []
        for curve, goal in zip(a, b, strict=True):
            y = x
            for _ in range(steps):
                y -= lr * curve * (y - goal)
            ends.append(y)
        x = sum(ends) / len(ends)
    return x


def with_numpy(a, b, lr, steps):
    return np.average(b, weights=1 - (1 - lr * np.array(a)) ** steps)


def as_a_tensor(a, b, lr, steps):
    w = 1 - (1 - lr * torch.tensor(a)) ** steps
    return (w * torch.tensor(b)).sum() / w.sum()


def by_a_geometric_sum(a, b, lr, steps):
    w = [lr * c * sum((1 - lr * c) ** k for k in range(steps)) for c in a]
    return sum(p * q for p, q in zip(w, b, strict=True)) / sum(w)


test_any_style_passes = passes(exercise.drift, by_rounds, with_numpy, as_a_tensor, by_a_geometric_sum)


def mean(weights, b):
    return float(np.average(b, weights=weights))


def ways(a, lr, steps):
    return 1 - (1 - lr * np.array(a)) ** steps


def into_its_argument(a, b, lr, steps):
    for k in range(len(a)):
        a[k] = 1 - (1 - lr * a[k]) ** steps
    return mean(a, b)


def forgets_to_return(a, b, lr, steps):
    rest = a[0]
    rest * 2


test_a_mistake_is_named = refused(
    exercise.drift,
    (lambda a, b, lr, steps: mean(a, b), "is the minimum of the mean loss"),
    (lambda a, b, lr, steps: sum(b) / len(b), "very many local steps"),
    (lambda a, b, lr, steps: mean(1 - ways(a, lr, steps), b), "what is *left* of the way"),
    (lambda a, b, lr, steps: float(ways(a, lr, steps) @ np.array(b)), "divide by the weights"),
    (
        lambda a, b, lr, steps: float(ways(a, lr, steps) @ np.array(b)) / len(b),
        "not by the sum of the weights",
    ),
    (lambda a, b, lr, steps: -with_numpy(a, b, lr, steps), "its sign"),
    (into_its_argument, "changes its argument a"),
    (forgets_to_return, "is there a `return`"),
)
