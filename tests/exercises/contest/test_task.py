"""The task: its gradient is the loss's, its digits depend on seed, rank and count, its refusals are words."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.exercises.contest import digits
from ddl_lab.exercises.contest.task import Task

task = lab.contest(seed=5)


def drawn(worker, nodes=1, own=task):
    return lab.simulate(worker, nodes, cluster=own.cluster.of_ranks(range(nodes)))


def test_the_gradient_by_hand_is_autograds():
    model = lab.make_model(seed=1)
    x, y = digits.batch_of(5, True, 0, 0, 100)
    theirs = lab.gradient(lab.bce_with_logits(model(x), y), model)
    ours = digits.gradient_of(lab.parameters(model), x, y)
    assert (ours - theirs).norm() / theirs.norm() < 1e-6
    split = lab.load_digits().test
    assert digits.accuracy_of(lab.parameters(model), split.x, split.y) == lab.accuracy(model, split)


def test_pixels_are_permuted_otherwise_in_practice_and_when_scored():
    plain = lab.load_digits().test
    practice, scored = (digits.tested(5, which, True)[0] for which in (False, True))
    assert not torch.equal(practice, scored) and not torch.equal(practice, plain.x[500:])
    assert torch.equal(practice.sort(1).values, plain.x[500:].sort(1).values)
    assert torch.equal(digits.tested(5, True, False)[1], plain.y[:500])


def test_a_batch_depends_on_seed_rank_and_count_alone():
    first = digits.batch_of(5, True, 0, 0, 8)[0]
    assert torch.equal(first, digits.batch_of(5, True, 0, 0, 8)[0])
    for seed, rank, count in ((5, 1, 0), (5, 0, 1), (6, 0, 0)):
        assert not torch.equal(first, digits.batch_of(seed, True, rank, count, 8)[0])


def test_a_gradient_and_a_check_take_time_and_a_small_batch_takes_that_of_16():
    def worker(node):
        model, ends = lab.make_model(seed=0), []
        for batch in (64, 16, 1):
            assert task.gradient(node, model, batch=batch).shape == (digits.PARAMETERS,)
            ends.append(node.now())
        task.passed(node, model)
        return [*ends, node.now()]

    ends = drawn(worker).results[0]
    spans = [round(end - start, 6) for start, end in zip([0, *ends], ends, strict=False)]
    assert spans == [64 / 2000, 16 / 2000, 16 / 2000, 167 / 2000]


def test_ranks_of_a_group_draw_by_their_rank_in_the_run():
    def worker(node):
        model = lab.make_model(seed=0)
        return task.gradient(node.group([1, 0]), model)

    zero, one = drawn(worker, 2).results
    assert torch.equal(zero, drawn(worker, 2).results[0]) and not torch.equal(zero, one)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda node, model: task.gradient(node, model, batch=0),
            "batch=0: it takes a whole number from 1 to 4000",
        ),
        (lambda node, model: task.gradient(node, model, batch=16.0), r"batch=16\.0"),
        (lambda node, model: task.gradient(model, node), "the first argument is the worker's node"),
        (
            lambda node, model: task.gradient(node, lab.make_model(0, hidden=8)),
            r"make_model\(seed\).*got \(6289,\)",
        ),
        (lambda node, model: task.passed(node, None), "got a NoneType"),
        (lambda node, model: task.save(node, model=1), "works in task.practice"),
    ],
)
def test_a_wrong_call_is_told_with_its_value_and_the_mend(call, words):
    with pytest.raises(lab.WorkerError, match=words):
        drawn(lambda node: call(node, lab.make_model(seed=0)))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: lab.contest(seed=-1), ValueError, "seed must be from 0"),
        (lambda: lab.contest(seed=1.5), TypeError, "seed must be a whole number"),
        (lambda: lab.contest(seed=1, failures=1), TypeError, "failures must be True or False"),
        (lambda: task.score(idle, nodes=13), ValueError, "from 1 to 12"),
        (lambda: task.score(idle, nodes="3"), TypeError, "from 1 to 12"),
        (lambda: task.score(idle, name=""), ValueError, "1 to 40 characters"),
        (lambda: task.score(idle, name="a\nb"), ValueError, "on a line"),
    ],
)
def test_a_wrong_argument_is_told_with_its_range(make, error, words):
    with pytest.raises(error, match=words):
        make()


def idle(node):
    return None


def test_a_contest_tells_its_rules():
    assert repr(task) == "lab.contest(seed=5)"
    page = lab.contest(seed=5, failures=True)._repr_html_()
    for told in ("93%", "2,000 samples/s", "rank 5 is 10 times slower", "3 dollars", "dies after 3 s"):
        assert told in page
    assert (task.nodes, task.hosts, task.target, task.price_per_hour) == (12, 3, 0.93, 3.0)


@pytest.mark.parametrize("call", [task.gradient, task.passed])
def test_who_is_late_is_told(call):
    def endless(node):
        model = lab.make_model(seed=0)
        while True:
            with node.compute(seconds=50):
                pass
            call(node, model)

    with pytest.raises(lab.WorkerError, match="an entry has 200 s, and rank 0 is at"):
        drawn(endless)


def test_a_task_in_the_worker_is_the_node_s_own():
    own = Task(5, scored=True)

    def worker(node):
        own.gradient(node, lab.make_model(seed=0))
        return None

    drawn(worker, own=task)
    assert own._batches == 0
