"""One step from several batches: one exchange, one step."""

import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_05 as exercise


def gradients(model, batches):
    return [lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in batches]


def exchanges_each(node, model, batches, lr):
    total = 0
    for gradient in gradients(model, batches):
        node.all_reduce(gradient, op="mean")
        total = total + gradient / len(batches)
    lab.sgd_step(model, total, lr)


def sums_batches(node, model, batches, lr):
    total = sum(gradients(model, batches))
    node.all_reduce(total, op="mean")
    lab.sgd_step(model, total, lr)


def sums_ranks(node, model, batches, lr):
    total = sum(gradients(model, batches)) / len(batches)
    node.all_reduce(total)
    lab.sgd_step(model, total, lr)


def alone(node, model, batches, lr):
    lab.sgd_step(model, sum(gradients(model, batches)) / len(batches), lr)


def the_last_batch(node, model, batches, lr):
    gradient = gradients(model, batches)[-1]
    node.all_reduce(gradient, op="mean")
    lab.sgd_step(model, gradient, lr)


def stays(node, model, batches, lr):
    node.all_reduce(sum(gradients(model, batches)) / len(batches), op="mean")


def a_step_a_batch(node, model, batches, lr):
    for x, y in batches:
        gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr)


def steps_alone(node, model, batches, lr):
    for gradient in (lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in batches):
        lab.sgd_step(model, gradient, lr)


def steps_alone_then_averages(node, model, batches, lr):
    steps_alone(node, model, batches, lr)
    node.all_reduce(lab.parameters(model), op="mean")


def one_batch_of_all(node, model, batches, lr):
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
    node.all_reduce(gradient, op="mean")
    lab.sgd_step(model, gradient, lr)


def by_torchs_accumulation(node, model, batches, lr):
    model.zero_grad()
    for x, y in batches:
        (lab.bce_with_logits(model(x), y) / len(batches) / node.world_size).backward()
    flat = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    node.all_reduce(flat)
    lab.parameters(model).sub_(flat, alpha=lr)


def the_mean_of_a_stack_gathered(node, model, batches, lr):
    mine = torch.stack(gradients(model, batches)).mean(0)
    every = torch.empty(node.world_size, len(mine))
    node.all_gather(every, mine)
    lab.sgd_step(model, every.mean(0), lr)


def with_its_own_rate(node, model, batches, lr):
    total = sum(gradients(model, batches)) / len(batches)
    node.all_reduce(total, op="mean")
    lab.sgd_step(model, total, 0.5)


def steps_too_soon(node, model, batches, lr):
    total = sum(gradients(model, batches)) / len(batches)
    lab.sgd_step(model, total, lr)
    node.all_reduce(total, op="mean")


def steps_alone_once_then_averages(node, model, batches, lr):
    lab.sgd_step(model, sum(gradients(model, batches)) / len(batches), lr)
    node.all_reduce(lab.parameters(model), op="mean")


test_any_style_passes = passes(
    exercise.sparing,
    steps_alone_once_then_averages,
    one_batch_of_all,
    by_torchs_accumulation,
    the_mean_of_a_stack_gathered,
)

test_a_mistake_is_named = refused(
    exercise.sparing,
    (steps_too_soon, "what the others have isn't in it"),
    (with_its_own_rate, "2.5 times what was asked"),
    (exchanges_each, "exchange once"),
    (sums_batches, "3 times too far"),
    (sums_ranks, "4 times too far"),
    (alone, "what the others have isn't in it"),
    (the_last_batch, "only the last batch counts"),
    (stays, "hasn't moved"),
    (a_step_a_batch, "a step after every batch"),
    (steps_alone, "a step after every batch"),
    (steps_alone_then_averages, "a step after every batch"),
)
