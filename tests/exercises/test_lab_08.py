"""Lab 08's exercises: likely mistakes are named, other right ways pass."""

import pytest
from exercising import said

from ddl_lab.exercises import lab_08
from ddl_lab.exercises.machine import NOT_YET


def rejected(exercise, function, *words):
    state, text = said(exercise, function)
    assert state == NOT_YET
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda stages, micros: (stages - 1) / micros, "over the time of the work"),
        (lambda stages, micros: micros / (micros + stages - 1), "in which nodes compute"),
        (lambda stages, micros: stages / (micros + stages), "passes stages − 1 others"),
        (lambda stages, micros: (stages - 1) / stages, "in one piece"),
        (lambda stages, micros: 0.5, "the bubble's share of the total"),
        (lambda stages, micros: "none", "a number was asked"),
    ],
)
def test_wrong_bubbles(wrong, words):
    rejected(lab_08.bubble, wrong, words)


def forwards(micros):
    return [("forward", k) for k in range(micros)]


def backwards(micros):
    return [("backward", k) for k in range(micros)]


def in_turns(stage, stages, micros):
    return [(kind, k) for k in range(micros) for kind in ("forward", "backward")]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda stage, stages, micros: forwards(micros), "backward comes for micro-batches []"),
        (
            lambda stage, stages, micros: [(kind, k + 1) for kind, k in forwards(micros) + backwards(micros)],
            "the numbers begin with 0",
        ),
        (lambda stage, stages, micros: forwards(micros) + backwards(micros)[::-1], "agree to the bit"),
        (in_turns, "in GPipe all forwards come first"),
        (lambda stage, stages, micros: backwards(micros) + forwards(micros), "stands before its forward"),
        (lambda stage, stages, micros: 3, "a list of pairs was asked"),
        (lambda stage, stages, micros: list(range(micros)), 'a step is a pair like ("forward", 0)'),
    ],
)  # fmt: skip
def test_wrong_orders_of_gpipe(wrong, words):
    rejected(lab_08.gpipe, wrong, words)


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


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda stage, stages, micros: forwards(micros) + backwards(micros), "as in GPipe"),
        (in_turns, "without a warm-up"),
        (warm(1), "one forward too many in the warm-up"),
        (warm(2), "the warm-up has one forward for each stage that comes later"),
        (lambda stage, stages, micros: forwards(stages) + backwards(stages), "each of 0 to"),
        (without_a_limit, "forward"),
    ],
)
def test_wrong_orders_of_1f1b(wrong, words):
    rejected(lab_08.one_f_one_b, wrong, words)


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


def test_an_order_that_keeps_little_and_takes_long_is_no_1f1b():
    rejected(lab_08.one_f_one_b, lazy, "where GPipe takes", "alternate")


def before_the_backward(order):
    most = now = 0
    for kind, _ in order:
        most = max(most, now)
        now += 1 if kind == "forward" else -1
    return most - 1


def at_the_end(order):
    return sum(1 if kind == "forward" else -1 for kind, _ in order)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda order: len(order) // 2, "a backward lets its micro-batch go"),
        (at_the_end, "0 is what is left at the end"),
        (before_the_backward, "look after the forward, before the backward"),
        (lambda order: 77, "the most in flight is 77"),
    ],
)
def test_wrong_counts_in_flight(wrong, words):
    rejected(lab_08.in_flight, wrong, words)


def even(costs, stages):
    return [len(costs) // stages + (s < len(costs) % stages) for s in range(stages)]


def greedy(costs, stages):
    """Fill each stage up to the mean."""
    mean, sizes, load = sum(costs) / stages, [0], 0
    for place, cost in enumerate(costs):
        left = len(costs) - place
        full = load + cost > mean or left <= stages - len(sizes)
        if sizes[-1] and full and len(sizes) < stages:
            sizes.append(0)
            load = 0
        sizes[-1] += 1
        load += cost
    return sizes


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (even, "equally many layers are not equal costs"),
        (greedy, "another cut is better"),
        (lambda costs, stages: [sum(even(costs, stages)[: s + 1]) for s in range(stages)], "where to cut"),
        (lambda costs, stages: [len(costs)] + [0] * (stages - 1), "every stage gets at least one"),
        (lambda costs, stages: [len(costs)], "one a stage was asked"),
        (lambda costs, stages: [1] * stages, "layers of"),
        (lambda costs, stages: sum(costs), "a list of whole numbers was asked"),
    ],
)
def test_wrong_cuts(wrong, words):
    rejected(lab_08.balance, wrong, words)


def who_counts(programs):
    """Looks at numbers of calls only, not at their order."""
    found = set()
    for node, calls in enumerate(programs):
        for kind, peer in calls:
            other = ("recv" if kind == "send" else "send", node)
            if calls.count((kind, peer)) != programs[peer].count(other):
                found.add(node)
    return sorted(found)


def who_looks_once(programs):
    """Looks at first calls only."""
    found = []
    for node, calls in enumerate(programs):
        if calls:
            kind, peer = calls[0]
            other = ("recv" if kind == "send" else "send", node)
            if programs[peer][:1] != [other]:
                found.append(node)
    return found


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (who_counts, "waits forever, and you leave it out"),
        (who_looks_once, "waits forever, and you leave it out"),
        (lambda programs: [n for n, calls in enumerate(programs) if calls], "does get to its end"),
        (lambda programs: bool(programs), "a list of nodes was asked"),
        (lambda programs: len(programs), "a list of nodes was asked"),
    ],
)
def test_wrong_deadlocks(wrong, words):
    rejected(lab_08.deadlock, wrong, words)
