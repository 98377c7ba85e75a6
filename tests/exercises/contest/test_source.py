"""An entry is its source: what it captures is written there or refused, and it runs from there."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import ddl_lab as lab
from ddl_lab.exercises.contest.rules import NotAllowed
from ddl_lab.exercises.contest.source import made, made_again, source_of
from ddl_lab.exercises.contest.task import Task

task = lab.contest(seed=3)
RATE, TEAM = 0.5, [0, 1]
weights = torch.zeros(4)
network = lab.make_model(seed=0)
many = list(range(1000))
text = "1" * 500
array = np.zeros(3)


def step_of(model, gradient, lr=RATE):
    lab.sgd_step(model, gradient, lr)


def helped(node):
    model = lab.make_model(seed=0)
    for _ in range(math.ceil(RATE)):
        step_of(model, task.gradient(node, model))
    return model if node.rank in TEAM else None


def test_the_text_holds_all_that_the_worker_uses_and_runs_by_itself():
    source = source_of(helped, task)
    assert source.text.startswith(
        "from __future__ import annotations\n\nimport ddl_lab as lab\nimport math\n"
    )
    for line in ("RATE = 0.5", "TEAM = [0, 1]", "task = lab.contest(seed=3)"):
        assert f"\n{line}\n" in source.text
    assert source.text.index("def step_of") < source.text.index("def helped")
    alone = {}
    exec(source.text, alone)
    result = lab.simulate(alone["helped"], 3, cluster=task.cluster.of_ranks(range(3))).results
    assert isinstance(result[0], nn.Module) and result[2] is None


def test_from_the_text_comes_the_same_worker_with_the_task_that_scores_it():
    source, own = source_of(helped, task), Task(3, scored=True)
    for worker in (made(source, own), made_again(source.text, "helped", own, "<card>")):
        assert worker.__globals__["task"] is own and worker.__name__ == "helped"
        assert source_of(helped, task).text == source.text


def test_the_text_names_the_contest_in_which_it_is_scored():
    other = lab.contest(seed=4, failures=True)
    assert "\ntask = lab.contest(seed=4, failures=True)\n" in source_of(helped, other).text


def nested(lr):
    def inner(node):
        model = lab.make_model(seed=0)
        lab.sgd_step(model, task.gradient(node, model), lr)
        return model

    return inner


def test_a_function_made_by_another_keeps_what_that_gave_it():
    source = source_of(nested(0.25), task)
    assert "\nlr = 0.25\n" in source.text and "\ndef inner(node):" in source.text


def reads_tensor(node):
    return weights


def reads_model(node):
    return network


def reads_many(node):
    return many


def reads_text(node):
    return text


def reads_array(node):
    return array


def by_default(node, start=weights):
    return start


def first_calls(node):
    return reads_tensor(node)


@pytest.mark.parametrize(
    ("worker", "named"),
    [
        (reads_tensor, r"reads_tensor captures `weights` \(a Tensor\)"),
        (reads_model, r"reads_model captures `network` \(a Sequential\)"),
        (reads_many, r"reads_many captures `many` \(a list\)"),
        (reads_text, r"reads_text captures `text` \(a str\)"),
        (reads_array, r"reads_array captures `array` \(a ndarray\)"),
        (by_default, r"by_default captures `weights` \(a Tensor\)"),
        (first_calls, r"reads_tensor captures `weights` \(a Tensor\)"),
        (nested(network), r"inner captures `lr` \(a Sequential\)"),
        (nested(float("inf")), r"inner captures `lr` \(a float\)"),
    ],
)
def test_what_was_made_before_is_refused_by_name(worker, named):
    with pytest.raises(NotAllowed, match=named + ".*make it in the worker"):
        task.score(worker)


class Callable_:
    def __call__(self, node):
        return None


@pytest.mark.parametrize(
    ("worker", "why"),
    [
        (lambda node: None, "lambda"),
        (partial(helped), "partial"),
        (Callable_(), "Callable_"),
        (torch.no_grad()(helped), "decorator|captures"),
    ],
)
def test_an_entry_is_a_plain_function(worker, why):
    with pytest.raises(NotAllowed, match=why):
        task.score(worker)


def test_what_takes_no_node_is_told_at_once():
    with pytest.raises(TypeError, match="takes no node"):
        task.score(lambda: None)
    with pytest.raises(TypeError, match="worker must be a function"):
        task.score(3)


def test_a_function_without_a_source_is_told():
    space = {}
    exec("def ghost(node):\n    return None", space)
    with pytest.raises(NotAllowed, match="the source of ghost can't be found"):
        task.score(space["ghost"])


def test_two_meanings_of_one_name_are_refused():
    def outer(lr):
        def helper():
            return lr

        return helper

    helper, lr = outer(0.5), 0.25

    def two(node):
        return helper() + lr

    with pytest.raises(NotAllowed, match="mean different things by `lr`: rename one"):
        task.score(two)
