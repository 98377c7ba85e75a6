"""A step with momentum: first the velocity, then the step with it."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_02 as exercise


def in_place(place, velocity, slope, lr, momentum):
    velocity *= momentum
    velocity += slope
    return place - lr * velocity, velocity


def by_torchs_optimiser(place, velocity, slope, lr, momentum):
    parameter = torch.nn.Parameter(place.clone())
    optimiser = torch.optim.SGD([parameter], lr=lr, momentum=momentum)
    optimiser.state[parameter]["momentum_buffer"] = velocity.clone()
    parameter.grad = slope
    optimiser.step()
    return parameter.detach(), optimiser.state[parameter]["momentum_buffer"]


def on_copies_in_place(place, velocity, slope, lr, momentum):
    velocity = velocity.clone().mul_(momentum).add_(slope)
    return place.clone().sub_(velocity, alpha=lr), velocity


def by_a_loop(place, velocity, slope, lr, momentum):
    new = [momentum * v + g for v, g in zip(velocity.tolist(), slope.tolist(), strict=True)]
    return torch.tensor([x - lr * v for x, v in zip(place.tolist(), new, strict=True)]), torch.tensor(new)


test_any_style_passes = passes(exercise.momentum, by_torchs_optimiser, on_copies_in_place, by_a_loop)

test_a_mistake_is_named = refused(
    exercise.momentum,
    (lambda x, v, g, lr, m: (x - 0.1 * (m * v + g), m * v + g), "place differs"),
    (lambda x, v, g, lr, m: (x - lr * v, m * v + g), "with the old velocity"),
    (lambda x, v, g, lr, m: (x - lr * (v + g), v + g), "must forget"),
    (lambda x, v, g, lr, m: (x, m * v + (1 - m) * g), "average"),
    (lambda x, v, g, lr, m: (x - m * v - lr * g, m * v + lr * g), "lr is in the velocity"),
    (lambda x, v, g, lr, m: (x + lr * (m * v - g), m * v - g), "wrong sign"),
    (lambda x, v, g, lr, m: (x - lr * (v + m * g), v + m * g), "not the slope"),
    (lambda x, v, g, lr, m: (x + lr * (m * v + g), m * v + g), "uphill"),
    (lambda x, v, g, lr, m: (x - (m * v + g), m * v + g), "learning rate is missing"),
    (lambda x, v, g, lr, m: (x - lr * g, m * v + g), "the velocity has no effect"),
    (in_place, "changes its argument velocity"),
)
