"""The outer step."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_13 as exercise


def by_torch(begun, thetas, velocity, lr, momentum):
    leaf = torch.nn.Parameter(begun.clone())
    outer = torch.optim.SGD([leaf], lr=lr, momentum=momentum, nesterov=momentum > 0)
    outer.state[leaf]["momentum_buffer"] = velocity.clone()
    leaf.grad = begun - thetas.mean(0)
    outer.step()
    return leaf.detach(), momentum * velocity + leaf.grad


def by_a_loop(begun, thetas, velocity, lr, momentum):
    new, speed = torch.empty_like(begun), torch.empty_like(begun)
    for place in range(len(begun)):
        come = sum(begun[place] - theta[place] for theta in thetas) / len(thetas)
        speed[place] = momentum * velocity[place] + come
        new[place] = begun[place] - lr * come - lr * momentum * speed[place]
    return [new, speed]


def with_numpy(begun, thetas, velocity, lr, momentum):
    come = (begun.numpy()[None] - thetas.numpy()).mean(axis=0)
    speed = momentum * velocity.numpy() + come
    return torch.from_numpy(begun.numpy() - np.float32(lr) * (come + momentum * speed)), torch.from_numpy(
        speed
    )


test_any_style_passes = passes(exercise.outer, by_torch, by_a_loop, with_numpy)


def by(
    come=lambda begun, thetas: begun - thetas.mean(0),
    speed=lambda v, c, m, lr: m * v + c,
    place=lambda b, c, new, old, m, lr: b - lr * (c + m * new),
):
    def answer(begun, thetas, velocity, lr, momentum):
        way = come(begun, thetas)
        new = speed(velocity, way, momentum, lr)
        return place(begun, way, new, velocity, momentum, lr), new

    return answer


def in_place(begun, thetas, velocity, lr, momentum):
    velocity.mul_(momentum).add_(begun - thetas.mean(0))
    return begun - lr * (begun - thetas.mean(0) + momentum * velocity), velocity


test_a_mistake_is_named = refused(
    exercise.outer,
    (by(come=lambda b, t: t.mean(0) - b), "the wrong way round"),
    (by(come=lambda b, t: (b - t).sum(0)), "their mean was asked"),
    (by(speed=lambda v, c, m, lr: m * v + lr * c), "the velocity has the learning rate in it"),
    (by(speed=lambda v, c, m, lr: v + c), "the old velocity counts in full"),
    (by(speed=lambda v, c, m, lr: m * v + (1 - m) * c), "a mean of old and new"),
    (by(place=lambda b, c, new, old, m, lr: b - lr * new), "that is plain momentum"),
    (by(place=lambda b, c, new, old, m, lr: b + lr * (c + m * new)), "uphill: subtract"),
    (by(place=lambda b, c, new, old, m, lr: b - c), "that is the average"),
    (by(place=lambda b, c, new, old, m, lr: b - (c + m * new)), "the learning rate is missing"),
    (lambda b, t, v, lr, m: b, "return two tensors"),
    (in_place, "changes its argument velocity"),
)
