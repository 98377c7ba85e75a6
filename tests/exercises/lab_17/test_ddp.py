"""A step under DDP."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_17 as exercise


def zero_first(model, optimizer, loss_of, x, y):
    loss = loss_of(model(x), y)
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    return loss


def zero_last(model, optimizer, loss_of, x, y):
    loss = loss_of(model.forward(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return np.float64(loss.item())


def zero_by_hand(model, optimizer, loss_of, x, y):
    for p in model.parameters():
        p.grad = None
    torch.autograd.backward(loss := loss_of(model(x), y))
    optimizer.step()
    return loss.detach().numpy()


test_any_style_passes = passes(exercise.ddp, zero_first, zero_last, zero_by_hand)


def ordered(*names, through=True, told=float):
    def step(model, optimizer, loss_of, x, y):
        loss = loss_of((model if through else model.module)(x), y)
        for name in names:
            loss.backward() if name == "backward" else getattr(optimizer, name)()
        return told(loss.detach())

    return step


RIGHT = "zero_grad", "backward", "step"


def cut_off(model, optimizer, loss_of, x, y):
    optimizer.zero_grad()
    loss = loss_of(model(x).detach().requires_grad_(), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def by_hand(model, optimizer, loss_of, x, y):
    loss = ordered("zero_grad", "backward")(model, optimizer, loss_of, x, y)
    with torch.no_grad():
        for p in model.parameters():
            p -= optimizer.param_groups[0]["lr"] * p.grad
    return loss


def loss_after(model, optimizer, loss_of, x, y):
    ordered(*RIGHT)(model, optimizer, loss_of, x, y)
    return loss_of(model(x), y).item()


test_a_mistake_is_named = refused(
    exercise.ddp,
    (ordered(*RIGHT, through=False), "goes past DDP, by model.module"),
    (ordered("backward", "step"), "gradients of earlier batches are still there"),
    (ordered("backward", "zero_grad", "step"), "the step finds nothing"),
    (ordered("step", "zero_grad", "backward"), "the step comes before backward"),
    (ordered("zero_grad", "backward"), "there is no optimizer.step()"),
    (ordered("zero_grad", "step"), "loss.backward() does both"),
    (ordered(*RIGHT, told=lambda loss: None), "what you return for step 1 is None"),
    (cut_off, "no gradient of the model is made"),
    (by_hand, "is its own business"),
    (loss_after, "the loss before the step was"),
)
