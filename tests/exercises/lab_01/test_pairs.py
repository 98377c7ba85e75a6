"""All pairs without the square, of whatever library it is made."""

import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_01 as exercise
from ddl_lab.exercises.watched import Watched


def all_pairs(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log())  # (8, 1) with (8,): (8, 8)


def square_of_numpy(p, y):
    p, y = p.numpy(), y.numpy()
    return torch.tensor(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def square_of_lists(p, y):
    rows = [[float(all_pairs(a, b)) for b in y] for a in p.flatten()]
    return torch.tensor(sum(map(sum, rows)) / len(p) ** 2)


def by_the_rate(p, y):
    return all_pairs(p, y.mean()).mean()


def row_by_row(p, y):
    total = p.new_zeros(())
    for prediction in p:
        total += all_pairs(prediction, y).mean()
    return total / len(p)


def by_numpy(p, y):
    rate, p = y.numpy().mean(), p.numpy()
    return torch.tensor(-(rate * np.log(p).mean() + (1 - rate) * np.log1p(-p).mean()))


def by_two_sums(p, y):
    n, ones = len(y), y.sum()
    return -(ones * p.log().sum() + (n - ones) * (1 - p).log().sum()) / n**2


def rows_in_a_list(p, y):
    rows = [all_pairs(prediction, y).mean() for prediction in p]
    return sum(rows) / len(rows)


def from_a_list_of_rows(p, y):
    means = [all_pairs(prediction, y).mean() for prediction in list(p)]
    return torch.stack(means).mean()


def sums_of_a_row_at_a_time(p, y):
    means = [sum([all_pairs(prediction, label) for label in y]) / len(y) for prediction in p.flatten()]
    return torch.stack(means).mean()


def in_blocks_of_rows(p, y):
    return sum(all_pairs(rows, y).sum() for rows in p.split(8)) / len(p) ** 2


def by_pythons_pairs(p, y):
    rows, labels = p.flatten().tolist(), y.tolist()
    losses = (-math.log(a if label else 1 - a) for a in rows for label in labels)
    return torch.tensor(sum(losses) / len(p) ** 2)


test_any_style_passes = passes(
    exercise.pairs,
    by_pythons_pairs,
    by_the_rate,
    row_by_row,
    by_numpy,
    by_two_sums,
    rows_in_a_list,
    from_a_list_of_rows,
    sums_of_a_row_at_a_time,
)

test_a_mistake_is_named = refused(
    exercise.pairs,
    (
        lambda p, y: torch.vmap(lambda row: all_pairs(row, y).mean())(p).mean(),
        "makes a tensor of 36,864 numbers",
    ),
    (
        lambda p, y: all_pairs(p, y.mean()).mean(0),
        "the mean has shape (1,): a tensor of no dimension was asked",
    ),
    (
        lambda p, y: torch.stack([all_pairs(half, y).mean() for half in p.chunk(2)]).mean(),
        "a tensor of 18,432",
    ),
    (in_blocks_of_rows, "of 192 predictions it makes a tensor of 1,536 numbers"),
    (lambda p, y: all_pairs(p, y).mean(), "right, but of 192 predictions it makes a whole of about 36,864"),
    (lambda p, y: all_pairs(p, y[:, None]).mean(), "loss of matched pairs"),
    (lambda p, y: all_pairs(y.mean(), y).mean(), "the entropy of the labels"),
    (lambda p, y: all_pairs(p.mean(), y).mean(), "you took the mean of ŷ first"),
    (lambda p, y: all_pairs(p, y.mean()).sum(), "8 times too large, for 8 predictions"),
    (lambda p, y: all_pairs(p, y).sum(), "64 times too large"),
    (lambda p, y: -(y.mean() * p.log()).mean(), "the zeros pay nothing"),
    (lambda p, y: all_pairs(p, y.mean()), "has shape (8, 1)"),
    (square_of_numpy, "right, but of 192 predictions"),
    (square_of_lists, "right, but of 192 predictions"),
    (lambda p, y: by_the_rate(p, y).item(), "the mean is a float: a tensor of no dimension was asked"),
)


def test_the_largest_tensor_on_the_way_is_seen():
    with Watched() as watched:
        (torch.ones(30, 1) + torch.ones(20)).sum()
    assert watched.elements == 600
