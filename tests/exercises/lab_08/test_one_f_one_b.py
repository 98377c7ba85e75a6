"""One forward, one backward."""

from collections import deque

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_08 as exercise


def forwards(micros):
    return [("forward", k) for k in range(micros)]


def backwards(micros):
    return [("backward", k) for k in range(micros)]


def in_turns(stage, stages, micros):
    return [(kind, k) for k in range(micros) for kind in ("forward", "backward")]


def warm(extra):
    """1F1B with ``extra`` forwards too many in its warm-up."""

    def order(stage, stages, micros):
        ahead = max(0, min(stages - 1 - stage + extra, micros))
        steps = forwards(ahead)
        for k in range(micros - ahead):
            steps += [("forward", ahead + k), ("backward", k)]
        return steps + [("backward", k) for k in range(micros - ahead, micros)]

    return order


def without_a_limit(stage, stages, micros):
    ahead = stages - 1 - stage
    return warm(0)(stage, stages, micros)[ahead:] + forwards(ahead)


def lazy(stage, stages, micros):
    """As many in flight as 1F1B, but backward only when it must."""
    steps, forward, back, most = [], 0, 0, min(stages - stage, micros)
    while back < micros:
        while forward < micros and forward - back < most:
            steps.append(("forward", forward))
            forward += 1
        while back < forward and (forward == micros or forward - back > max(0, most - 2)):
            steps.append(("backward", back))
            back += 1
    return steps


def backward_too_early(stage, stages, micros):
    """As 1F1B, but the first stage leaves its last forward until nothing else is left to do."""
    order = exercise.one_f_one_b.reference(stage, stages, micros)
    if stage or stages < 4 or micros < 3:
        return order
    order.remove(("forward", micros - 1))
    return [*order[:-1], ("forward", micros - 1), order[-1]]


def by_what_is_in_flight(stage, stages, micros):
    order, forward, backward = [], 0, 0
    while backward < micros:
        if forward < micros and forward - backward < stages - stage:
            order.append(("forward", forward))
            forward += 1
        else:
            order.append(("backward", backward))
            backward += 1
    return order


def from_two_queues(stage, stages, micros):
    ahead, back, order = deque(forwards(micros)), deque(backwards(micros)), []
    for _ in range(min(stages - stage - 1, micros)):
        order.append(ahead.popleft())
    while ahead:
        order += [ahead.popleft(), back.popleft()]
    return order + list(back)


def sorted_by_slots(stage, stages, micros):
    slots = [(2 * k + stage, ("forward", k)) for k in range(micros)]
    slots += [(2 * k + 2 * stages - 1 - stage, ("backward", k)) for k in range(micros)]
    return [step for _, step in sorted(slots)]


def with_numpys_integers(stage, stages, micros):
    return np.array(by_what_is_in_flight(stage, stages, micros), dtype=object)


test_any_style_passes = passes(
    exercise.one_f_one_b, by_what_is_in_flight, from_two_queues, sorted_by_slots, with_numpys_integers
)

test_a_mistake_is_named = refused(
    exercise.one_f_one_b,
    (lambda stage, stages, micros: forwards(micros) + backwards(micros), "as in GPipe"),
    (in_turns, "without a warm-up"),
    (warm(1), "one forward too many in the warm-up"),
    (warm(2), "the warm-up has one forward for each stage that comes later"),
    (lambda stage, stages, micros: forwards(stages) + backwards(stages), "each of 0 to"),
    (without_a_limit, "forward"),
    (backward_too_early, "after the warm-up, alternate; this schedule never ends"),
    (lazy, "after the warm-up, alternate"),
)
