"""Entries of the contest: the ladder from a naive one up, an asynchronous one, one that survives failures."""

import torch

import ddl_lab as lab

task = lab.contest(seed=18)
deadly = lab.contest(seed=18, failures=True)
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
    """Steps of one's own on all but the slow node, and an average now and then."""
    if node.rank not in FAST:
        return None
    team, model = node.group(FAST), lab.make_model(seed=0)
    while True:
        for _ in range(every):
            lab.sgd_step(model, task.gradient(node, model), lr=0.5)
        team.all_reduce(lab.parameters(model), op="mean")
        if task.passed(node, model):
            return model


def two_level(node, every=32):
    """The same, averaged inside each host first, then by one node of each."""
    if node.rank not in FAST:
        return None
    hosts = [[rank for rank in FAST if rank // 4 == host] for host in range(3)]
    home, model = hosts[node.rank // 4], lab.make_model(seed=0)
    team, leads = node.group(home), [host[0] for host in hosts]
    between = node.group(leads) if node.rank in leads else None
    while True:
        for _ in range(every):
            lab.sgd_step(model, task.gradient(node, model), lr=0.5)
        flat = lab.parameters(model)
        team.all_reduce(flat, op="mean")
        if between is not None:
            between.all_reduce(flat, op="mean")
        team.broadcast(flat, src=0)
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


def one_host_local(node, every=30):
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


def server(node, updates=900):
    """Asynchronous: rank 0 applies each gradient as it comes; its model counts."""
    if node.rank >= 4:
        return None
    model = lab.make_model(seed=0)
    flat = lab.parameters(model)
    if node.rank == 0:
        gradient, left = torch.empty_like(flat), 3
        while left:
            worker = node.recv(gradient)
            updates -= 1
            if updates >= 0:
                lab.sgd_step(model, gradient, lr=0.3)
            left -= updates < 0
            node.send(flat if updates >= 0 else torch.full_like(flat, torch.inf), worker)
        return model
    while torch.isfinite(flat[0]):
        node.send(task.gradient(node, flat), 0)
        node.recv(flat, 0)
    return None


def survivor(node, every=20):
    """One host in step; rank 0 saves, and all begin with what it has saved."""
    if node.rank >= 4:
        return None
    host, model = node.group(range(4)), lab.make_model(seed=0)
    saved = deadly.restore(node, rank=0) or {"step": 0, "flat": lab.parameters(model)}
    lab.parameters(model).copy_(saved["flat"])
    for step in range(saved["step"] + 1, 2000):
        gradient = deadly.gradient(node, model)
        host.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % every == 0:
            if deadly.passed(node, model):
                break
            if node.rank == 0:
                deadly.save(node, step=step, flat=lab.parameters(model))
    return model


def forgetful(node):
    """The same without a checkpoint."""
    if node.rank >= 4:
        return None
    host, model = node.group(range(4)), lab.make_model(seed=0)
    for step in range(1, 2000):
        gradient = deadly.gradient(node, model)
        host.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % 20 == 0 and deadly.passed(node, model):
            break
    return model
