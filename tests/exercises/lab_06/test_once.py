"""Pull once, push once, and step never."""

import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_06 as exercise


def gradients(model, batches):
    return [lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in batches]


def pushes_the_sum(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(sum(gradients(model, batches)), 0)


def pushes_before_it_pulls(node, model, batches):
    pushing = node.isend(sum(gradients(model, batches)) / len(batches), 0)
    node.recv(lab.parameters(model), 0)
    pushing.wait()


def back_propagates_after_it_receives(node, model, batches):
    losses = [lab.bce_with_logits(model(x), y) for x, y in batches]
    node.recv(lab.parameters(model), 0)
    node.send(sum(lab.gradient(loss, model) for loss in losses) / len(batches), 0)


def pushes_parameters(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(lab.parameters(model), 0)


def pushes_the_last(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(gradients(model, batches)[-1], 0)


def pulls_for_each_batch(node, model, batches):
    for batch in batches:
        node.recv(lab.parameters(model), 0)
        node.send(gradients(model, [batch])[0], 0)


def pushes_for_each_batch(node, model, batches):
    node.recv(lab.parameters(model), 0)
    for gradient in gradients(model, batches):
        node.send(gradient, 0)


def steps_after_each_batch(node, model, batches):
    node.recv(lab.parameters(model), 0)
    total = 0
    for x, y in batches:
        gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
        lab.sgd_step(model, gradient, 0.1)
        total = total + gradient
    node.send(total / len(batches), 0)


def steps_after_the_push(node, model, batches):
    node.recv(lab.parameters(model), 0)
    gradient = sum(gradients(model, batches)) / len(batches)
    node.send(gradient, 0)
    lab.sgd_step(model, gradient, 0.1)


def pushes_the_way_down(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(-sum(gradients(model, batches)) / len(batches), 0)


def never_pulls(node, model, batches):
    node.send(sum(gradients(model, batches)) / len(batches), 0)


def one_batch_of_all(node, model, batches):
    node.recv(lab.parameters(model))
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    node.send(lab.gradient(lab.bce_with_logits(model(x), y), model), 0)


def by_backward(node, model, batches):
    flat = torch.empty_like(lab.parameters(model))
    node.irecv(flat, 0).wait()
    torch.nn.utils.vector_to_parameters(flat, model.parameters())
    model.zero_grad()
    for x, y in batches:
        (lab.bce_with_logits(model(x), y) / len(batches)).backward()
    node.send(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]), dst=0)


def the_mean_of_a_stack_by_isend(node, model, batches):
    node.recv(lab.parameters(model), src=0)
    node.isend(torch.stack(gradients(model, batches)).mean(0), 0).wait()


def with_a_functional_call(node, model, batches):
    flat = torch.empty_like(lab.parameters(model))
    node.recv(flat, 0)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    parts = flat.requires_grad_().split([shape.numel() for shape in shapes.values()])
    pulled = {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    losses = [lab.bce_with_logits(torch.func.functional_call(model, pulled, (x,)), y) for x, y in batches]
    node.send(torch.autograd.grad(torch.stack(losses).mean(), flat)[0], 0)


test_any_style_passes = passes(
    exercise.once, one_batch_of_all, by_backward, the_mean_of_a_stack_by_isend, with_a_functional_call
)

test_a_mistake_is_named = refused(
    exercise.once,
    (pushes_the_sum, "you push the sum over 3 batches"),
    (pushes_before_it_pulls, "in step 0 you push the gradient at parameters from before the pull"),
    (back_propagates_after_it_receives, "you pull between forward and backward"),
    (pushes_parameters, "you push the parameters"),
    (pushes_the_last, "you push the last batch's gradient alone"),
    (pulls_for_each_batch, "you pull and push for every batch, 3 messages"),
    (pushes_for_each_batch, "you push after every batch, 3 messages"),
    (steps_after_each_batch, "the model has moved from what you pulled: only the server steps"),
    (steps_after_the_push, "the model has moved from what you pulled: only the server steps"),
    (pushes_the_way_down, "with a minus"),
    (never_pulls, "one pull and waits for one push a step"),
)
