"""Lab 07's exercises: likely mistakes are named, other right ways pass."""

import math

import pytest
import torch
from exercising import said

from ddl_lab.exercises import lab_07

# staleness from the order of arrival


def counted(shift=0, more=0):
    """A learner's count, who has workers read ``shift`` before they should, or adds ``more``."""

    def staleness_of(arrivals):
        read, found = {}, []
        for version, worker in enumerate(arrivals):
            found.append(version - read.get(worker, 0) + more)
            read[worker] = version + 1 - shift
        return found

    return staleness_of


def the_version(arrivals):
    return list(range(len(arrivals)))


def workers_less_one(arrivals):
    return [len(set(arrivals)) - 1] * len(arrivals)


def one_number(arrivals):
    return len(set(arrivals)) - 1


# limit, aware, winner


def lr_of(delay=lambda w: w - 1, by=lambda c: c, angle=lambda a: a):
    def largest_lr(curvature, workers):
        return 2 * math.sin(angle(math.pi / (2 * (2 * delay(workers) + 1)))) / by(curvature)

    return largest_lr


def step_by(rate):
    def aware_step(theta, gradient, read, version, lr):
        return theta - rate(lr, version - read, version) * gradient

    return aware_step


def in_place(theta, gradient, read, version, lr):
    theta -= lr / max(version - read, 1) * gradient
    return theta


def harmonic(n):
    return sum(1 / k for k in range(1, n + 1))


def seconds_of(synchronous, asynchronous=lambda n, m, u: u * m / n):
    def race(workers, mean_s, rounds, updates):
        return synchronous(workers, mean_s, rounds), asynchronous(workers, mean_s, updates)

    return race


def the_right_rounds(n, m, r):
    return r * harmonic(n) * m


# a server of the first k


def server(
    take=lambda node, box, turn: node.recv(box), mean=True, everybody=False, early=False, silent=False
):
    def first_k(node, theta, k, steps, lr):
        box = torch.empty_like(theta)
        for _ in range(steps):
            total, came = torch.zeros_like(theta), []
            for turn in range(k):
                came.append(take(node, box, turn))
                total += box
                if early:
                    node.isend(theta, came[-1])
            theta = theta - lr * total / (k if mean else 1)
            for worker in range(1, node.world_size) if everybody else came:
                if not (early or silent):
                    node.isend(theta, worker)
        return theta

    return first_k


def none_back(node, theta, k, steps, lr):
    server()(node, theta, k, steps, lr)


WRONG = [
    ("versions", counted(shift=1), "that one is in what it reads"),
    ("versions", counted(more=1), "each is 1 too many"),
    ("versions", the_version, "that is the version; a worker reads again"),
    ("versions", workers_less_one, "number 0, of rank 1, is of staleness 0"),
    ("versions", one_number, "return a list with one number for each of the 6"),
    ("gate", lambda clocks, bound: [w for w, c in enumerate(clocks) if c - min(clocks) < bound],
     "a gap of just the bound is still allowed"),
    ("gate", lambda clocks, bound: [w for w, c in enumerate(clocks) if max(clocks) - c <= bound],
     "you measured from the fastest"),
    ("gate", lambda clocks, bound: [c for c in clocks if c - min(clocks) <= bound], "those are the clocks"),
    ("gate", lambda clocks, bound: True, "return a list of places"),
    ("gate", lambda clocks, bound: list(range(len(clocks))), "you let [0, 1, 2] go on, and [0, 2] may"),
    ("limit", lr_of(delay=lambda w: w), "the delay is w − 1"),
    ("limit", lr_of(by=lambda c: 1), "divide by the curvature"),
    ("limit", lr_of(by=lambda c: 1 / c), "where you multiplied"),
    ("limit", lr_of(angle=math.radians), "radians already"),
    ("limit", lambda curvature, workers: 2 / curvature, "the limit without a delay"),
    ("limit", lambda curvature, workers: 2 / curvature / workers, "the synchronous limit"),
    ("aware", step_by(lambda lr, s, v: lr / s), "a fresh gradient has staleness 0"),
    ("aware", step_by(lambda lr, s, v: lr / (s + 1)), "lr / (τ + 1) with you"),
    ("aware", step_by(lambda lr, s, v: lr), "counts fully with you"),
    ("aware", step_by(lambda lr, s, v: lr * s), "so the stalest count most"),
    ("aware", step_by(lambda lr, s, v: lr / max(v, 1)), "you divided by the version"),
    ("aware", step_by(lambda lr, s, v: -lr / max(s, 1)), "you went uphill"),
    ("aware", in_place, "changes its argument theta"),
    ("winner", seconds_of(lambda n, m, r: r * m), "a round lasts as long as its slowest"),
    ("winner", seconds_of(lambda n, m, r: r * m * math.log(n)), "add up 1 + 1/2"),
    ("winner", seconds_of(lambda n, m, r: r * m * harmonic(n) / n), "that is for each gradient"),
    ("winner", seconds_of(lambda n, m, r: r * m * harmonic(n) * n), "side by side"),
    ("winner", seconds_of(the_right_rounds, lambda n, m, u: u * m), "as if one worker did it all"),
    ("winner", seconds_of(the_right_rounds, lambda n, m, u: u * m * harmonic(n) / n),
     "nobody waits for the slowest"),
    ("winner", lambda workers, mean_s, rounds, updates: 1.0, "return two numbers"),
    ("first", server(mean=False), "you took the sum of the k gradients"),
    ("first", server(take=lambda node, box, turn: node.recv(box, turn + 1)), "you wait for ranks 1 to k"),
    ("first", server(early=True), "you answer before the step is taken"),
    ("first", server(everybody=True), "only those k whose gradients came"),
    ("first", server(silent=True), "wait"),
    ("first", none_back, "is there a `return`"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_likely_mistake_is_named(name, answer, words):
    state, text = said(getattr(lab_07, name), answer)
    assert state == "not yet" and words in text, text


def test_other_right_ways_pass():
    assert said(lab_07.versions, counted())[0] == "right"
    assert (
        said(
            lab_07.gate, lambda clocks, bound: {w for w, c in enumerate(clocks) if c <= min(clocks) + bound}
        )[0]
        == "right"
    )
    assert said(lab_07.limit, lr_of())[0] == "right"
    assert said(lab_07.aware, step_by(lambda lr, s, v: lr / s if s else lr))[0] == "right"
    assert said(lab_07.winner, seconds_of(the_right_rounds))[0] == "right"
    assert said(lab_07.first, server())[0] == "right"
