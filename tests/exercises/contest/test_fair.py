"""Gaming, tried: each attempt is refused in words, or charged so that it wins nothing."""

import pytest
import torch
from torch.autograd import grad as slope

import ddl_lab as lab

task = lab.contest(seed=7)


def by_gradient(node):
    model = lab.make_model(seed=0)
    lab.gradient(model(torch.ones(1, 784)).sum(), model)
    return model


def by_backward(node):
    model = lab.make_model(seed=0)
    model(torch.ones(1, 784)).sum().backward()
    return model


def by_grad(node):
    from torch.autograd import grad

    model = lab.make_model(seed=0)
    grad(model(torch.ones(1, 784)).sum(), list(model.parameters()))
    return model


def by_another_name(node):
    model = lab.make_model(seed=0)
    slope(model(torch.ones(1, 784)).sum(), list(model.parameters()))
    return model


def by_func(node):
    torch.func.grad(lambda x: (x * x).sum())(torch.ones(3))
    return lab.make_model(seed=0)


@pytest.mark.parametrize("worker", [by_gradient, by_backward, by_grad, by_another_name, by_func])
def test_autograd_beside_the_task_is_refused_in_words_and_works_again_afterwards(worker):
    with pytest.raises(lab.WorkerError, match=r"autograd in a contest: .*write task\.gradient") as caught:
        task.score(worker, nodes=2)
    assert "in by_" in str(caught.value)  # the learner's own line
    x = torch.ones(2, requires_grad=True)
    (3 * x).sum().backward()
    assert x.grad.tolist() == [3, 3]


def by_hand(node, steps=150, batch=256):
    """Steps of a gradient written by hand, on digits of one's own; here noise: only its price matters."""
    flat = lab.parameters(lab.make_model(seed=0)).clone()
    x = torch.rand(batch, 784)
    for _ in range(steps):
        weight = flat[: 256 * 784].view(256, 784)
        hidden = (x @ weight.T).clamp(min=0)
        weight -= 1e-3 * (hidden.T @ x) / batch
    return flat


def by_hand_in_a_tiny_span(node):
    with node.compute(samples=1):
        return by_hand(node)


def by_hand_among_steps(node):
    for _ in range(3):
        task.gradient(node, lab.make_model(seed=0))
    return by_hand(node)


@pytest.mark.parametrize("worker", [by_hand, by_hand_in_a_tiny_span, by_hand_among_steps])
def test_arithmetic_that_the_task_has_not_done_costs_as_the_samples_that_it_is_worth(worker):
    score = task.score(worker, nodes=1)
    asked = 150 * 256 / 2000  # seconds, had the task computed them
    assert 0.1 * asked < score.charged_s < 10 * asked  # two of its three products, on a busy machine
    assert score.seconds >= score.charged_s and score.node_seconds == score.seconds


def test_a_slow_node_pays_ten_times_as_much():
    fast, slow = (task.score(worker).charged_s for worker in (only_0, only_5))
    assert 3 * fast < slow < 40 * fast


def only_0(node):
    return by_hand(node) if node.rank == 0 else None


def only_5(node):
    return by_hand(node) if node.rank == 5 else None


def steps_of_adam(node):
    model = lab.make_model(seed=0)
    flat = lab.parameters(model)
    first, second = torch.zeros_like(flat), torch.zeros_like(flat)
    for _ in range(60):
        gradient = task.gradient(node, model)
        first.mul_(0.9).add_(gradient, alpha=0.1)
        second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        flat.addcdiv_(first, second.sqrt().add_(1e-8), value=-1e-3)
    return model


def test_an_optimiser_written_by_hand_is_free():
    assert task.score(steps_of_adam, nodes=1).charged_s == 0


def test_digits_read_off_gradients_cost_more_than_they_save():
    score = task.score(reads_digits, nodes=1)
    assert score.history.metrics["largest"].item() == pytest.approx(1, abs=1e-3)  # ink
    assert score.seconds > 100 * 16 / 2000


def reads_digits(node):
    """A gradient on one digit tells that digit: 100 of them, at the price of 1,600."""
    model, known = lab.make_model(seed=0), []
    for _ in range(100):
        gradient = task.gradient(node, model, batch=1)
        slopes = gradient[256 * 784 :][:256]
        row = int(slopes.abs().argmax())
        known.append(gradient[: 256 * 784].view(256, 784)[row] / slopes[row])
    node.record(largest=torch.stack(known).amax())
    return model


def trained_before(node):
    """A network trained on plain digits knows nothing of these pixels."""
    model = lab.make_model(seed=0)
    for _ in range(100):
        lab.sgd_step(model, task.gradient(node, model, batch=64), lr=0.5)
    return model


def test_a_network_of_another_permutation_is_worth_a_guess():
    from ddl_lab.exercises.contest.task import Task

    ready = lab.simulate(trained_before, 1).results[0]
    flat = lab.parameters(ready)
    assert Task(7).accuracy(flat, held_out=True) > 0.85  # in practice, where it was trained
    assert Task(7, scored=True).accuracy(flat, held_out=True) < 0.65


def own_contest(node):
    other = lab.contest(seed=7)
    model = lab.make_model(seed=0)
    for _ in range(30):
        other.gradient(node, model, batch=512)
    return model


def test_a_task_of_its_own_costs_twice():
    score = task.score(own_contest, nodes=1)
    assert score.charged_s > 0 and score.seconds > 30 * 512 / 2000
