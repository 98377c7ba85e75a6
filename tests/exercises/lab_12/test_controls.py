"""A client's round under SCAFFOLD."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_12 as exercise


def adding_gradients_up(start, common, own, gradient, lr, steps):
    x, total = start.clone(), torch.zeros_like(start)
    for _ in range(steps):
        g = gradient(x)
        total += g
        x -= lr * (g - own + common)
    return x - start, total / steps


def as_a_list(start, common, own, gradient, lr, steps):
    shift, went = common - own, torch.zeros_like(start)
    for _ in range(steps):
        went = went - lr * (gradient(start + went) + shift)
    return [went, -shift - went / lr / steps]


def by_recursion(start, common, own, gradient, lr, steps):
    def places(x, left):
        return [x] if not left else [x, *places(x - lr * (gradient(x) + common - own), left - 1)]

    way = places(start, steps)
    return way[-1] - start, torch.stack([gradient(x) for x in way[:-1]]).mean(0)


test_any_style_passes = passes(exercise.controls, adding_gradients_up, as_a_list, by_recursion)


def walk(start, shift, gradient, lr, steps):
    x = start.clone()
    for _ in range(steps):
        x = x - lr * (gradient(x) + shift)
    return x - start


def wrong_way(shift_of):
    return lambda s, c, o, g, lr, k: (walk(s, shift_of(c, o), g, lr, k), o)


def wrong_control(control_of):
    def answer(start, common, own, gradient, lr, steps):
        went = walk(start, common - own, gradient, lr, steps)
        return went, control_of(start, common, own, gradient, lr, steps, went)

    return answer


test_a_mistake_is_named = refused(
    exercise.controls,
    (wrong_way(lambda c, o: o - c), "the correction is the wrong way round"),
    (wrong_way(lambda c, o: 0 * c), "that is FedAvg"),
    (wrong_way(lambda c, o: -o), "the common one doesn't come in"),
    (wrong_way(lambda c, o: c), "the own one doesn't go out"),
    (lambda s, c, o, g, lr, k: (s + walk(s, c - o, g, lr, k), o), "that is where the client is"),
    (lambda s, c, o, g, lr, k: (-lr * k * (g(s) + c - o), o), "the gradient is taken at start every time"),
    (wrong_control(lambda s, c, o, g, lr, k, w: -w / k / lr), "of the *corrected* gradients"),
    (wrong_control(lambda s, c, o, g, lr, k, w: o - c - w / k), "divide by lr, too"),
    (wrong_control(lambda s, c, o, g, lr, k, w: o - c - w / lr), "divide by their number"),
    (wrong_control(lambda s, c, o, g, lr, k, w: c - o - w / lr / k), "the signs of both controls"),
    (wrong_control(lambda s, c, o, g, lr, k, w: o - c + w / lr / k), "a gradient's is start − x"),
    (wrong_control(lambda s, c, o, g, lr, k, w: g(s + w)), "where the client ends"),
    (wrong_control(lambda s, c, o, g, lr, k, w: -c - w / lr / k), "that is the change"),
    (lambda s, c, o, g, lr, k: walk(s, c - o, g, lr, k), "return two tensors"),
)
