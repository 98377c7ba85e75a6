"""Momentum before the exchange."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_11 as exercise


def top(vector, k):
    places = vector.abs().topk(k).indices
    return torch.zeros_like(vector).scatter(0, places, vector[places])


def by_a_mask(gradient, velocity, left, k, momentum):
    velocity = momentum * velocity + gradient
    left = left + velocity
    sent = top(left, k)
    return sent, velocity * (sent == 0), left * (sent == 0)


def by_subtraction(gradient, velocity, left, k, momentum):
    speed = torch.add(gradient, velocity, alpha=momentum)
    whole = left + speed
    places = whole.abs().sort(descending=True).indices[:k]
    sent = torch.zeros_like(whole).index_copy(0, places, whole[places])
    return [sent, speed.index_fill(0, places, 0.0), whole - sent]


def by_a_loop(gradient, velocity, left, k, momentum):
    u = [momentum * old + g for old, g in zip(velocity.tolist(), gradient.tolist(), strict=True)]
    v = [old + new for old, new in zip(left.tolist(), u, strict=True)]
    sent = [0.0] * len(v)
    for place in sorted(range(len(v)), key=lambda place: abs(v[place]))[-k:]:
        sent[place], u[place], v[place] = v[place], 0.0, 0.0
    return torch.tensor(sent), torch.tensor(u), torch.tensor(v)


test_any_style_passes = passes(exercise.momentum, by_a_mask, by_subtraction, by_a_loop)


def wrong(
    add=lambda left, new, g, u: left + new,
    speed=lambda new, sent: new * (sent == 0),
    rest=lambda whole, sent, new: whole - sent,
):
    def answer(gradient, velocity, left, k, momentum):
        new = momentum * velocity + gradient
        whole = add(left, new, gradient, velocity)
        sent = top(whole, k)
        return sent, speed(new, sent), rest(whole, sent, new)

    return answer


def of_the_examples_momentum(gradient, velocity, left, k, momentum):
    return by_a_mask(gradient, velocity, left, k, 0.9)


def zeroed_before_it_is_sent(gradient, velocity, left, k, momentum):
    velocity = momentum * velocity + gradient
    left = left + velocity
    places = left.abs().topk(k).indices
    left[places] = velocity[places] = 0
    sent = torch.zeros_like(left)
    sent[places] = left[places]
    return sent, velocity, left


def in_place(gradient, velocity, left, k, momentum):
    velocity.mul_(momentum).add_(gradient)
    return by_a_mask(gradient, velocity / momentum - gradient / momentum, left, k, momentum)


test_a_mistake_is_named = refused(
    exercise.momentum,
    (wrong(add=lambda left, new, g, u: left + g), "you add up gradients"),
    (wrong(add=lambda left, new, g, u: new), "you send the velocity"),
    (wrong(add=lambda left, new, g, u: left + 0.9 * u + 0.1 * g), "a mean of old and new"),
    (wrong(speed=lambda new, sent: new), "or they overshoot"),
    (wrong(speed=lambda new, sent: torch.zeros_like(new)), "the velocity is 0 everywhere"),
    (wrong(speed=lambda new, sent: new - sent), "velocity − sent"),
    (wrong(rest=lambda whole, sent, new: whole), "would be sent twice"),
    (wrong(rest=lambda whole, sent, new: new * (sent == 0)), "what was left out earlier is lost"),
    (of_the_examples_momentum, "what you send differs"),
    (zeroed_before_it_is_sent, "nothing is sent: take the entries before you set them to 0"),
    (lambda g, u, v, k, m: by_a_mask(g, u, v, k, m)[:2], "return three tensors"),
    (in_place, "changes its argument velocity"),
)
