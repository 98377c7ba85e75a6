"""What isn't sent is remembered."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_11 as exercise


def top(vector, k, by=None):
    places = (vector.abs() if by is None else by).topk(k).indices
    return torch.zeros_like(vector).scatter(0, places, vector[places])


def by_a_mask(gradient, left, k):
    vector = gradient + left
    mask = vector.abs() >= vector.abs().sort(descending=True).values[k - 1]
    return vector * mask, vector * ~mask


def by_a_loop(gradient, left, k):
    vector = [g + e for g, e in zip(gradient.tolist(), left.tolist(), strict=True)]
    chosen = sorted(range(len(vector)), key=lambda place: -abs(vector[place]))[:k]
    sent = [x if place in chosen else 0.0 for place, x in enumerate(vector)]
    return [torch.tensor(sent), torch.tensor([x - s for x, s in zip(vector, sent, strict=True)])]


def with_numpy(gradient, left, k):
    vector = gradient.numpy() + left.numpy()
    rest = vector.copy()
    rest[np.argsort(-np.abs(vector))[:k]] = 0
    return torch.from_numpy(vector - rest), torch.from_numpy(rest)


def in_place(gradient, left, k):
    left += gradient
    sent = top(left, k)
    left -= sent
    return sent, left


test_any_style_passes = passes(exercise.memory, by_a_mask, by_a_loop, with_numpy)


def answering(sent_of, kept_of):
    def answer(gradient, left, k):
        sent = sent_of(gradient, left, k)
        return sent, kept_of(gradient, left, sent)

    return answer


def right(g, e, k):
    return top(g + e, k)


def rest(g, e, s):
    return g + e - s


test_a_mistake_is_named = refused(
    exercise.memory,
    (answering(lambda g, e, k: top(g, k), rest), "you choose from the gradient alone"),
    (answering(lambda g, e, k: top(g + e, k, g.abs()), rest), "the places are the gradient's largest"),
    (answering(lambda g, e, k: top(g + e, k, g + e), rest), "of either sign"),
    (answering(lambda g, e, k: top(g - e, k), rest), "you subtracted what was left out"),
    (answering(lambda g, e, k: g + e, rest), "all of it is sent"),
    (answering(right, lambda g, e, s: g - s), "is lost with you"),
    (answering(right, lambda g, e, s: g + 2 * e - s), "is there twice"),
    (answering(right, lambda g, e, s: s - g - e), "its sign"),
    (answering(right, lambda g, e, s: torch.zeros_like(g)), "nothing is remembered"),
    (answering(right, lambda g, e, s: g + e), "it would arrive twice"),
    (lambda g, e, k: top(g + e, k), "return two tensors"),
    (in_place, "changes its argument left"),
)
