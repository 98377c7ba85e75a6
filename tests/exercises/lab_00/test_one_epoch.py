"""A worker of one's own: right however the mean is taken, wrong with another start, rate or batch."""

import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_00 as exercise


def epoch(
    op="mean", lr=1.0, batch_size=64, seed=0, own=0, timed=True, recorded=True, fixed=0.0,
    result=lab.parameters,
):  # fmt: skip
    """One epoch with something changed; ``op`` None: no message at all; ``fixed``: lr whatever is asked."""

    def answer(node, data, rate):
        model = lab.make_model(seed=seed + own * node.rank)
        for x, y in lab.batches(data, node, batch_size=batch_size):
            with node.compute(samples=len(x) if timed else 1):
                loss = lab.bce_with_logits(model(x), y)
                gradient = lab.gradient(loss, model)
            if op is not None:
                node.all_reduce(gradient, op=op)
            lab.sgd_step(model, gradient, fixed or lr * rate)
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


def half_the_sum(node, data, lr):
    """Right on two nodes only."""
    model = lab.make_model(seed=0)
    for x, y in lab.batches(data, node, batch_size=64):
        with node.compute(samples=len(x)):
            loss = lab.bce_with_logits(model(x), y)
            gradient = lab.gradient(loss, model)
        node.all_reduce(gradient)
        lab.sgd_step(model, gradient / 2, lr)
        node.record(loss=loss)
    return lab.parameters(model)


def as_the_lab_has_it(node, data, lr):
    return epoch()(node, data, lr)


def gradients_one_by_one(node, data, lr):
    model = lab.make_model(seed=0)
    for x, y in lab.batches(data, node, batch_size=64):
        with node.compute(samples=len(x)):
            loss = lab.bce_with_logits(model(x), y)
            gradients = torch.autograd.grad(loss, list(model.parameters()))
        for gradient in gradients:
            node.all_reduce(gradient, op="mean")
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= lr * gradient
        node.record(loss=loss.item())
    return lab.parameters(model)


def summed_and_divided_with_torchs_optimiser(node, data, lr):
    model = lab.make_model(seed=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    for x, y in lab.batches(data, node, batch_size=64):
        with node.compute(samples=len(x)):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y)
            optimiser.zero_grad()
            loss.backward()
        for parameter in model.parameters():
            node.all_reduce(parameter.grad)
            parameter.grad /= node.world_size
        optimiser.step()
        node.record(loss=loss.detach())
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def parameters_averaged_after_each_step(node, data, lr):
    model = lab.make_model(seed=0)
    for x, y in lab.batches(data, node, batch_size=64):
        with node.compute(samples=len(x)):
            loss = lab.bce_with_logits(model(x), y)
            lab.sgd_step(model, lab.gradient(loss, model), lr)
        node.all_reduce(lab.parameters(model), op="mean")
        node.record(loss=loss)
    return lab.parameters(model).clone()


def returned_on_rank_0(node, data, lr):
    found = epoch()(node, data, lr)
    return found if node.rank == 0 else None


def a_rate_times_the_nodes(node, data, lr):
    return epoch()(node, data, lr * node.world_size)


def the_start_kept(node, data, lr):
    start = lab.parameters(lab.make_model(seed=0))
    epoch()(node, data, lr)
    return start


test_a_worker_is_right_in_any_style = passes(
    exercise.one_epoch, as_the_lab_has_it, gradients_one_by_one, summed_and_divided_with_torchs_optimiser,
    parameters_averaged_after_each_step,
)  # fmt: skip

test_a_mistake_is_named = refused(
    exercise.one_epoch,
    (the_start_kept, "or no step reaches what you return"),
    (a_rate_times_the_nodes, "not their sum, and not `lr` times the nodes"),
    (returned_on_rank_0, "what rank 1 returns is None"),
    (epoch(op=None), "the nodes end with different parameters"),
    (after_the_step, "the nodes end with different parameters"),
    (half_the_sum, "the tensor of parameters differs"),
    (epoch(batch_size=65), "the tensor of parameters differs"),
    (epoch(batch_size=63), "the tensor of parameters differs"),
    (epoch(op="sum"), "each step is as many times too long as there are nodes"),
    (epoch(lr=0.0), "`lab.sgd_step` is missing"),
    (epoch(lr=-1.0), "you step uphill"),
    (epoch(fixed=0.1), "you step with 0.1, whatever `lr` is"),
    (epoch(fixed=0.2), "the tensor of parameters differs"),
    (epoch(batch_size=32), "each node takes 32 digits a step"),
    (epoch(seed=1), "another start: `lab.make_model(seed=0)` was asked"),
    (epoch(own=1), "each node starts from a model of its own"),
    (epoch(lr=3.0), "the tensor of parameters differs"),
    (epoch(timed=False), "computes for"),
    (epoch(recorded=False), "all is right but for the record"),
    (epoch(result=lambda model: None), "what rank 0 returns is None"),
    (epoch(result=lambda model: model), "what rank 0 returns is a"),
)
