"""GPipe's order."""

from itertools import product

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_08 as exercise


def forwards(micros):
    return [("forward", k) for k in range(micros)]


def backwards(micros):
    return [("backward", k) for k in range(micros)]


def in_turns(stage, stages, micros):
    return [(kind, k) for k in range(micros) for kind in ("forward", "backward")]


def by_a_product(stage, stages, micros):
    return list(product(("forward", "backward"), range(micros)))


def by_a_loop(stage, stages, micros):
    order = []
    for step in range(2 * micros):
        order.append(["forward" if step < micros else "backward", step % micros])
    return order


def with_numpys_integers(stage, stages, micros):
    numbers = np.arange(micros)
    return tuple((kind, k) for kind in ("forward", "backward") for k in numbers)


test_any_style_passes = passes(exercise.gpipe, by_a_product, by_a_loop, with_numpys_integers)

test_a_mistake_is_named = refused(
    exercise.gpipe,
    (lambda stage, stages, micros: forwards(micros), "backward comes for micro-batches []"),
    (
        lambda stage, stages, micros: [(kind, k + 1) for kind, k in forwards(micros) + backwards(micros)],
        "the numbers begin with 0",
    ),
    (lambda stage, stages, micros: forwards(micros) + backwards(micros)[::-1], "agree to the bit"),
    (in_turns, "in GPipe all forwards come first"),
    (lambda stage, stages, micros: backwards(micros) + forwards(micros), "stands before its forward"),
    (lambda stage, stages, micros: 3, "your list of pairs is a int: a list was asked"),
    (lambda stage, stages, micros: list(range(micros)), 'a step is a pair like ("forward", 0)'),
)
