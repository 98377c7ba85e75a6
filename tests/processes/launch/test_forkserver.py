"""The fork server has loaded what ranks need."""

import torch

import ddl_lab as lab


def first_steps(node):
    import sys

    before = set(sys.modules)
    model = lab.make_model(seed=0)
    gradient = lab.gradient(lab.bce_with_logits(model(torch.zeros(2, 784)), torch.ones(2, 1)), model)
    node.all_reduce(gradient)
    lab.sgd_step(model, gradient, lr=0.1)
    out = model(torch.zeros(2, 784))
    torch.autograd.grad(out, list(model.parameters()), torch.ones_like(out))  # as a stage of a pipeline does
    return sorted(set(sys.modules) - before)


def test_a_rank_imports_nothing_in_its_first_steps():
    assert lab.run(first_steps, 2, progress=False).results == [[], []]
