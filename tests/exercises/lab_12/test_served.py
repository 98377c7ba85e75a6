"""The server's part of a round."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_12 as exercise


def by_numpy(theta, answers, rows):
    weights = np.array([rows[k] for k in answers], dtype=float)
    steps = np.stack([went.numpy() for went in answers.values()])
    return theta + torch.from_numpy(np.average(steps, axis=0, weights=weights)).float()


def by_a_running_sum(theta, answers, rows):
    total, count = torch.zeros_like(theta), 0
    for client, went in answers.items():
        total += rows[client] * went
        count += rows[client]
    return theta + total / count


def mean_of_parameters(theta, answers, rows):
    count = sum(rows[k] for k in answers)
    return torch.stack([rows[k] * (theta + went) for k, went in answers.items()]).sum(0) / count


def by_einsum(theta, answers, rows):
    weights = torch.tensor([float(rows[k]) for k in answers])
    return theta + torch.einsum("k,kp->p", weights / weights.sum(), torch.stack(list(answers.values())))


test_any_style_passes = passes(exercise.served, by_numpy, by_a_running_sum, mean_of_parameters, by_einsum)


def weighted(answers, rows):
    return sum(rows[k] * went for k, went in answers.items())


def total(answers, rows):
    return sum(rows[k] for k in answers)


def into_its_argument(theta, answers, rows):
    theta += weighted(answers, rows) / total(answers, rows)
    return theta


def by_their_place(theta, answers, rows):
    of = list(rows.values())
    total = sum(of[place] for place in range(len(answers)))
    return theta + sum(of[place] / total * went for place, went in enumerate(answers.values()))


def forgets_to_return(t, a, r):
    rest = t[0]
    rest * 2


test_a_mistake_is_named = refused(
    exercise.served,
    (lambda t, a, r: t + sum(a.values()) / len(a), "clients count alike with you"),
    (lambda t, a, r: t + weighted(a, r) / sum(r.values()), "rows of all clients"),
    (lambda t, a, r: t + sum(a.values()) / len(r), "the number of all clients"),
    (lambda t, a, r: weighted(a, r) / total(a, r), "the server starts from theta"),
    (lambda t, a, r: t - weighted(a, r) / total(a, r), "you step backwards"),
    (lambda t, a, r: t + sum(a.values()), "the mean was asked"),
    (lambda t, a, r: t + weighted(a, r), "nothing divides them"),
    (lambda t, a, r: t.clone(), "nothing has moved"),
    (lambda t, a, r: (t + weighted(a, r) / total(a, r), a), "return one tensor"),
    (by_their_place, "2 answered: the new parameters differs"),
    (forgets_to_return, "is there a `return`"),
    (into_its_argument, "changes its argument"),
)
