"""The first logit whose sigmoid is 1, to the last bit."""

import math

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_01 as exercise


def first(dtype, step=0.01):
    z = torch.arange(0, 64, step, dtype=torch.float64).to(dtype)
    return z[torch.sigmoid(z) == 1][0].item()


def ones(dtype):
    """All whole counts of bits from 0 to 64.0: positive floats lie in the order of their bits."""
    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[torch.empty((), dtype=dtype).element_size()]
    return kind, torch.tensor(64.0, dtype=dtype).view(kind).item()


def by_bits(dtype):
    kind, high = ones(dtype)
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        there = torch.sigmoid(torch.tensor(middle, dtype=kind).view(dtype)) == 1
        low, high = (low, middle) if there else (middle, high)
    return torch.tensor(high, dtype=kind).view(dtype).item()


def by_halving_as_a_tensor(dtype):
    low, high = torch.tensor([0.0, 64.0], dtype=dtype)
    while True:
        middle = ((low.double() + high.double()) / 2).to(dtype)
        if middle in (low, high):
            return high
        low, high = (low, middle) if torch.sigmoid(middle) == 1 else (middle, high)


def down_from_a_grid(dtype):
    kind, _ = ones(dtype)
    z = torch.tensor(by_bits(dtype), dtype=dtype) + 2 * torch.finfo(dtype).eps * 8
    while torch.sigmoid(before := (z.view(kind) - 1).view(dtype)) == 1:
        z = before
    return float(z)


def last_below(dtype):
    kind, _ = ones(dtype)
    return (torch.tensor(by_bits(dtype), dtype=dtype).view(kind) - 1).view(dtype).item()


def in_steps_down(dtype):
    z, step = torch.tensor([64.0, 32.0], dtype=dtype)
    while z - step != z:
        z, step = (z - step, step) if torch.sigmoid(z - step) == 1 else (z, step / 2)
    return z


test_any_style_passes = passes(
    exercise.saturation, in_steps_down, by_bits, by_halving_as_a_tensor, down_from_a_grid
)

test_a_mistake_is_named = refused(
    exercise.saturation,
    (lambda dtype: math.nan, "the sigmoid of nan isn't 1 yet"),
    (lambda dtype: math.inf, "float32 inf isn't the first"),
    (lambda dtype: math.log(1 / torch.finfo(dtype).eps), "isn't 1 yet: that is ln(1/ε), a prediction"),
    (lambda dtype: last_below(dtype), "you return the last one that isn't"),
    (lambda dtype: math.log(2 / torch.finfo(dtype).eps), "no number of float32: that is ln(2/ε)"),
    (lambda dtype: 16.5, "isn't 1 yet: search further up"),
    (lambda dtype: first(dtype), "float32 16.639999 isn't the first: the sigmoid of 16.6"),
    (
        lambda dtype: by_bits(torch.float32),
        "for float64 you return float32's logit",
    ),
    (lambda dtype: by_bits(dtype) + 1e-9, "is no number of float32"),
    (lambda dtype: print(end=""), "is there a `return`"),
)
