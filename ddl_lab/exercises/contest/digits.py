"""What lies behind a task: digits under a permutation of their pixels, and the network's gradient on them.

The permutation is drawn when an entry is scored, so that a network trained before knows nothing of it. The
gradient is written by hand, without autograd: so an entry has no use for autograd, which can be refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from ...training.data import load_digits
from ...training.model import INPUTS, parameters

HIDDEN = 256
SIZES = (HIDDEN * INPUTS, HIDDEN, HIDDEN, 1)  # of W (256, 784), b (256,), w (256,), c (1,): the article's
PARAMETERS = sum(SIZES)
CHECKED = 500  # of the 1,000 test digits: those that `passed` looks at; the others are held out
_PIXELS = 1  # what keeps the draws of the permutation apart from those of the batches


@lru_cache(maxsize=8)
def order_of_pixels(seed: int, scored: bool) -> torch.Tensor:
    """The permutation, int64 (784,): one to practise with, and another for scoring."""
    drawn = np.random.RandomState([seed, _PIXELS, int(scored)]).permutation(INPUTS)
    return torch.from_numpy(drawn)


def batch_of(seed: int, scored: bool, rank: int, count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Training digits x (size, 784) and y (size, 1), drawn from (seed, rank, count) and nothing else."""
    x, y = _trained_on(seed, scored)
    rows = torch.from_numpy(np.random.RandomState([seed, rank, count]).randint(0, len(x), size))
    return x.index_select(0, rows), y.index_select(0, rows)


@lru_cache(maxsize=2)
def _trained_on(seed: int, scored: bool) -> tuple[torch.Tensor, torch.Tensor]:
    train = load_digits().train
    return train.x[:, order_of_pixels(seed, scored)], train.y.clone()


@lru_cache(maxsize=4)
def tested(seed: int, scored: bool, held_out: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The 500 digits that ``passed`` looks at, or the 500 that nobody sees: x (500, 784), y (500, 1)."""
    test = load_digits().test
    rows = slice(CHECKED, None) if held_out else slice(CHECKED)
    return test.x[rows][:, order_of_pixels(seed, scored)], test.y[rows].clone()


def flat_of(model: Any, call: str) -> torch.Tensor:
    """The model's parameters, (P,): of the article's network, or already flat. Raises in words."""
    flat = parameters(model) if isinstance(model, nn.Module) else model
    if type(flat) is not torch.Tensor or flat.shape != (PARAMETERS,) or flat.dtype != torch.float32:
        got = f"{tuple(flat.shape)}" if isinstance(flat, torch.Tensor) else f"a {type(model).__name__}"
        raise ValueError(
            f"{call}: it takes lab.make_model(seed), or its lab.parameters(model), float32 ({PARAMETERS},); "
            f"got {got}."
        )
    return flat.detach().contiguous()


def gradient_of(flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """d loss / d parameters, (P,), of the mean cross-entropy on x (b, 784) and y (b, 1).

    1. forward: a = x Wᵀ + b, h = max(a, 0), z = h w + c;
    2. the loss's slope in z is (σ(z) - y) / b; from there backward, as lab 02 has it.
    """
    weight, bias, second, shift = _parts(flat)
    hidden = torch.addmm(bias, x, weight.T).clamp_(min=0)  # (b, 256)
    slope = torch.sigmoid(torch.addmv(shift, hidden, second)).sub_(y[:, 0]).div_(len(x))  # (b,)
    found = torch.empty_like(flat)
    parts = _parts(found)
    back = torch.outer(slope, second).mul_(hidden > 0)  # (b, 256)
    torch.mm(back.T, x, out=parts[0])
    torch.sum(back, 0, out=parts[1])
    torch.mv(hidden.T, slope, out=parts[2])
    torch.sum(slope, 0, keepdim=True, out=parts[3])
    return found


def accuracy_of(flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of x (n, 784) that the network gets right."""
    weight, bias, second, shift = _parts(flat)
    logits = torch.addmv(shift, torch.addmm(bias, x, weight.T).clamp_(min=0), second)
    return float(((logits > 0) == (y[:, 0] > 0.5)).double().mean())


def _parts(flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
    weight, bias, second, shift = flat.split(SIZES)
    return weight.view(HIDDEN, INPUTS), bias, second, shift
