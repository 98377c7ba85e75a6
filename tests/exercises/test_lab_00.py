"""Lab 00's exercises: likely mistakes are named, other right ways pass."""

import math

import pytest
import torch
from exercising import said

import ddl_lab as lab
from ddl_lab.exercises import lab_00 as exercise


def total(line):
    def answer(node):
        value = torch.tensor([float(node.rank)])
        line(node, value)
        return value.item()

    return answer


def gathered_at_0(node, value):
    if node.rank:
        node.send(value, 0)
    for source in range(1, node.world_size if node.rank == 0 else 0):
        other = torch.zeros(1)
        node.recv(other, source)
        value += other


def twice(node, value):
    node.all_reduce(value)
    node.barrier()
    node.broadcast(value, 0)


def overwrites(node, value):
    value = sum(range(node.world_size))
    del value


def forgets(node):
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (total(overwrites), "each node returns its own rank: nothing was sent"),
        (total(lambda node, v: node.all_reduce(v, op="mean")), "the mean: the sum is 4 times as large"),
        (total(lambda node, v: node.all_reduce(v, op="max")), "the largest rank"),
        (total(gathered_at_0), "6 is the sum, but not every node has it"),
        (total(twice), "One all_reduce does it"),
        (total(lambda node, v: node.all_reduce(v, op="add")), "rank 0 raised ValueError"),
        (forgets, "rank 0 returns None"),
        (total(lambda node, v: node.rank or node.all_reduce(v)), "no node can go on"),
    ],
)
def test_a_sum(answer, words):
    state, text = said(exercise.total, answer)
    assert state == "not yet" and words in text


def seconds(history, kinds=("compute",)):
    spans = history.spans[history.spans["kind"].isin(kinds)]
    return (spans["end_s"] - spans["start_s"]).groupby(spans["rank"]).sum()


def shares(history):
    return seconds(history).reindex(range(history.nodes), fill_value=0.0) / history.elapsed_s


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda h: list(shares(h) * h.elapsed_s), "these are seconds"),
        (lambda h: list(shares(h) * 100), "these are percent, 100 times too large"),
        (lambda h: list(shares(h) / shares(h).sum()), "shares of all computing, which add up to 1"),
        (lambda h: list(seconds(h, ("compute", "wait", "barrier")) / h.elapsed_s), "you counted every span"),
        (lambda h: list(shares(h) / 2), "sum over a rank's spans"),
        (lambda h: list(seconds(h) / h.elapsed_s), "3 numbers for 4 ranks: rank 0 computed nothing"),
        (lambda h: float(shares(h).mean()), "a list with a number for each rank was asked"),
        (lambda h: dict(shares(h)), "a list with a number for each rank was asked"),
        (lambda h: list(shares(h))[::-1], "the list differs"),
        (lambda h: h.span["kind"], "AttributeError"),
    ],
)
def test_the_busy_share(answer, words):
    state, text = said(exercise.busy, answer)
    assert state == "not yet" and words in text


def test_a_busy_share_may_be_a_tensor_or_a_column_too():
    assert said(exercise.busy, lambda h: torch.tensor(list(shares(h))))[0] == "right"
    assert said(exercise.busy, shares)[0] == "right"


def times(worker, counts, **cluster):
    return {n: lab.simulate(worker, n, cluster=lab.Cluster(**cluster)).elapsed_s for n in counts}


def best(found):
    return min(found, key=found.get)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda w, s, c: best(times(w, c)), "you found the fastest at the usual 50 µs"),
        (lambda w, s, c: min(times(w, c, latency_s=s).values()), "a time: the number of nodes"),
        (lambda w, s, c: c.index(best(times(w, c, latency_s=s))), "a place in the list of counts"),
        (lambda w, s, c: max(t := times(w, c, latency_s=s), key=t.get), "take longest: `min`, not `max`"),
        (lambda w, s, c: 1000, "which is none of the counts"),
        (lambda w, s, c: print(end=""), "you return None"),
    ],
)
def test_cheap_and_dear_messages(answer, words):
    state, text = said(exercise.fastest, answer)
    assert state == "not yet" and words in text


def epoch(op="mean", lr=1.0, batch_size=64, seed=0, timed=True, recorded=True, result=lab.parameters):
    """One epoch with something changed; ``op`` None: no message at all."""

    def answer(node, data, rate):
        model = lab.make_model(seed=seed)
        for x, y in lab.batches(data, node, batch_size=batch_size):
            with node.compute(samples=len(x) if timed else 1):
                loss = lab.bce_with_logits(model(x), y)
                gradient = lab.gradient(loss, model)
            if op is not None:
                node.all_reduce(gradient, op=op)
            lab.sgd_step(model, gradient, lr * rate)
            if recorded:
                node.record(loss=loss)
        return result(model)

    return answer


def after_the_step(node, data, lr):
    model = lab.make_model(seed=0)
    for x, y in lab.batches(data, node, batch_size=64):
        gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
        lab.sgd_step(model, gradient, lr)
        node.all_reduce(gradient, op="mean")
    return lab.parameters(model)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (epoch(op=None), "the two nodes end with different parameters"),
        (after_the_step, "the two nodes end with different parameters"),
        (epoch(op="sum"), "each step is 2 times too long, and 2 is the number of nodes"),
        (epoch(lr=0.0), "`lab.sgd_step` is missing"),
        (epoch(lr=-1.0), "you step uphill"),
        (epoch(batch_size=32), "each node takes 32 digits a step"),
        (epoch(seed=1), "`lab.make_model(seed=0)` was asked"),
        (epoch(lr=3.0), "the tensor of parameters differs"),
        (epoch(timed=False), "the virtual clock shows"),
        (epoch(recorded=False), "all is right but for the record"),
        (epoch(result=lambda model: None), "what rank 0 returns is None"),
        (epoch(result=lambda model: model), "what rank 0 returns is a"),
    ],
)
def test_a_worker_of_ones_own(answer, words):
    state, text = said(exercise.one_epoch, answer)
    assert state == "not yet" and words in text


def test_the_training_that_was_asked_is_right_however_it_is_written():
    assert said(exercise.one_epoch, epoch())[0] == "right"


def test_the_answers_docstring_tells_what_running_it_gives():
    """ "64 at 5 µs, 16 at 50 µs, 8 at 500 µs", for lab 00's `train` of one epoch."""
    digits = lab.load_digits()

    def train(node):
        model = lab.make_model(seed=0)
        for x, y in lab.batches(digits.train, node, batch_size=math.ceil(500 / node.world_size)):
            with node.compute(samples=len(x)):
                gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)

    fastest = exercise.fastest.reference
    assert [fastest(train, latency_s, (8, 16, 64)) for latency_s in (5e-6, 50e-6, 500e-6)] == [64, 16, 8]
