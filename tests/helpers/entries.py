"""Entries of the contest: the ladder from a naive one up."""

import ddl_lab as lab

task = lab.contest(seed=18)
FAST = [rank for rank in range(12) if rank != 5]  # all but the slow one


def naive(node, lr=0.1, steps=170):
    model = lab.make_model(seed=0)
    for _ in range(steps):
        gradient = task.gradient(node, model, batch=64)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr)
    return model


def bold(node):
    model = lab.make_model(seed=0)
    for step in range(1, 1000):
        gradient = task.gradient(node, model, batch=64)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % 20 == 0 and task.passed(node, model):
            break
    return model


def local(node, every=32):
    if node.rank not in FAST:
        return None
    team, model = node.group(FAST), lab.make_model(seed=0)
    while True:
        for _ in range(every):
            lab.sgd_step(model, task.gradient(node, model), lr=0.5)
        team.all_reduce(lab.parameters(model), op="mean")
        if task.passed(node, model):
            return model


def alone(node):
    if node.rank:
        return None
    model = lab.make_model(seed=0)
    for step in range(1, 5000):
        lab.sgd_step(model, task.gradient(node, model), lr=0.5)
        if step % 50 == 0 and task.passed(node, model):
            break
    return model


def one_host_local(node, every=8):
    if node.rank >= 4:
        return None
    host, model = node.group(range(4)), lab.make_model(seed=0)
    while True:
        for _ in range(every):
            lab.sgd_step(model, task.gradient(node, model), lr=0.5)
        host.all_reduce(lab.parameters(model), op="mean")
        if task.passed(node, model):
            return model


def one_host(node):
    if node.rank >= 4:
        return None
    host, model = node.group(range(4)), lab.make_model(seed=0)
    for step in range(1, 2000):
        gradient = task.gradient(node, model, batch=16)
        host.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % 20 == 0 and task.passed(node, model):
            break
    return model
