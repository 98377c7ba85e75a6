"""Two linear layers in one: by a product, or by what goes in and comes out."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_02 as exercise


def by_einsum(w1, b1, w2, b2):
    return torch.einsum("oh,hi->oi", w2, w1), b2 + w2.mv(b1)


def by_unit_vectors(w1, b1, w2, b2):
    def both(x):
        return (x @ w1.T + b1) @ w2.T + b2

    b = both(torch.zeros(1, w1.shape[1]))
    return (both(torch.eye(w1.shape[1])) - b).T, b[0]


def by_one_product(w1, b1, w2, b2):
    whole = w2 @ torch.cat([w1, b1[:, None]], dim=1)
    return [whole[:, :-1], whole[:, -1] + b2]


test_any_style_passes = passes(exercise.collapse, by_einsum, by_unit_vectors, by_one_product)

test_a_mistake_is_named = refused(
    exercise.collapse,
    (lambda w1, b1, w2, b2: (w2 @ b1 + b2, w2 @ w1), "w and b have changed places"),
    (lambda w1, b1, w2, b2: (w2 @ w1, b2), "lacks what the second layer makes"),
    (lambda w1, b1, w2, b2: (w2 @ w1, w2 @ b1), "lacks b2"),
    (lambda w1, b1, w2, b2: (w1 @ w2, b2), "w1 stands on the right"),
    (lambda w1, b1, w2, b2: ((w2 @ w1).T, w2 @ b1 + b2), "w is transposed"),
    (lambda w1, b1, w2, b2: (w2 @ w1, torch.cat([b1, b2])), "21 parameters: 2 outputs have 2"),
)
