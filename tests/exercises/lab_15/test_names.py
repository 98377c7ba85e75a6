"""Names for a flat tensor."""

import math

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_15 as exercise


def count(shape):
    return math.prod(shape)


def by_split(flat, shapes):
    pieces = flat.split([count(shape) for shape in shapes.values()])
    return {name: piece.view(shapes[name]) for name, piece in zip(shapes, pieces, strict=True)}


def by_an_iterator(flat, shapes):
    numbers = iter(flat.tolist())
    return {
        name: torch.tensor([next(numbers) for _ in range(count(shape))]).reshape(shape)
        for name, shape in shapes.items()
    }


def eating_the_front(flat, shapes):
    parts = {}
    for name, shape in shapes.items():
        size = torch.Size(shape).numel()
        parts[name], flat = flat[:size].clone().reshape(shape), flat[size:]
    return parts


def by_torchs_own(flat, shapes):
    class Net(torch.nn.Module):
        pass

    leaves = {name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    torch.nn.utils.vector_to_parameters(flat, leaves.values())
    return {name: leaf.detach() for name, leaf in leaves.items()}


test_any_style_passes = passes(exercise.names, by_split, by_an_iterator, eating_the_front, by_torchs_own)


def in_order(order):
    def answer(flat, shapes):
        names = order(shapes)
        pieces = flat.split([count(shapes[name]) for name in names])
        return {name: piece.view(shapes[name]) for name, piece in zip(names, pieces, strict=True)}

    return answer


def from_the_start(flat, shapes):
    return {name: flat[: count(shape)].view(shape) for name, shape in shapes.items()}


def columns_first(flat, shapes):
    parts = by_split(flat, shapes)
    return {n: p.reshape(p.shape[::-1]).T if p.dim() == 2 else p for n, p in parts.items()}


def on_its_side(flat, shapes):
    return {n: p.T if p.dim() == 2 else p for n, p in by_split(flat, shapes).items()}


def flat_parts(flat, shapes):
    return {name: part.flatten() for name, part in by_split(flat, shapes).items()}


def of_two_dimensions(flat, shapes):
    parts, start = {}, 0
    for name, shape in shapes.items():
        size = shape[0] * shape[1] if len(shape) > 1 else count(shape)
        parts[name] = flat[start : start + size].view(shape)
        start += size
    return parts


def one_late(flat, shapes):
    return by_split(flat.roll(-1), shapes)


def writing(flat, shapes):
    flat += 1
    return by_split(flat, shapes)


test_a_mistake_is_named = refused(
    exercise.names,
    (from_the_start, "go on where the last one ended"),
    (in_order(sorted), "you sorted the names"),
    (in_order(lambda s: list(s)[::-1]), "the last part comes first"),
    (in_order(lambda s: sorted(s, key=lambda n: len(s[n]) != 2)), "all weights first"),
    (columns_first, "column by column"),
    (on_its_side, "it lies on its side"),
    (flat_parts, "view() gives it its shape"),
    (one_late, "begins with 2, and with 1"),
    (lambda flat, shapes: list(by_split(flat, shapes).values()), "a dict of tensors by their name"),
    (lambda flat, shapes: {"0.weight": flat[:12].view(4, 3)}, "there is no '0.bias'"),
    (lambda flat, shapes: by_split(flat, shapes) | {"flat": flat}, "no name in shapes"),
    (of_two_dimensions, "is invalid for input of size"),
    (writing, "changes its argument flat"),
)
