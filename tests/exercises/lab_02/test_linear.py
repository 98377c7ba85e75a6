"""Backward through a linear layer: by products, sums of products, or autograd."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_02 as exercise


def by_einsum(x, w, dz):
    return torch.einsum("no,ni->oi", dz, x), torch.einsum("no->o", dz), torch.einsum("no,oi->ni", dz, w)


def by_autograd(x, w, dz):
    x, w = x.clone().requires_grad_(), w.clone().requires_grad_()
    b = torch.zeros(len(w), requires_grad=True)
    return torch.autograd.grad(x @ w.T + b, (w, b, x), dz)


def by_a_loop(x, w, dz):
    dw = sum(torch.outer(slope, row) for slope, row in zip(dz, x, strict=True))
    return [dw, torch.ones(len(x)) @ dz, torch.stack([slope @ w for slope in dz])]


test_any_style_passes = passes(exercise.linear, by_einsum, by_autograd, by_a_loop)

test_a_mistake_is_named = refused(
    exercise.linear,
    (lambda x, w, dz: ((dz.T @ x).T, dz.sum(0), dz @ w), "dw is transposed"),
    (lambda x, w, dz: (dz.T @ x, dz.sum(0), dz @ w.T), "dx (5, 4). Which of them needs .T"),
    (lambda x, w, dz: (dz @ x, dz.sum(0), dz @ w), "which side"),
    (lambda x, w, dz: (dz.T @ x, dz.mean(0), dz @ w), "don't take the mean"),
    (lambda x, w, dz: (dz.T @ x, dz, dz @ w), "add over the batch"),
    (lambda x, w, dz: (dz.T @ x / len(x), dz.sum(0), dz @ w), "once more"),
    (lambda x, w, dz: (dz @ w, dz.sum(0), dz.T @ x), "changed places"),
    (lambda x, w, dz: (dz.T @ x, dz @ w), "return 3 things, dw, db, dx; you returned 2"),
)
