"""Entries of lab 18's contest, from a naive one to the best that the course knows: seconds and money.

    python -m tools.sweeps.contest          some minutes

Scored on the virtual clock, seed 18, and confirmed. All start from one network, take 16 digits a node and
step, and look at the 500 digits every so many steps.
"""

# mypy: disable-error-code=no-untyped-def
# entries are written as a learner writes them

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import ddl_lab as lab

from . import write

task = lab.contest(seed=18)


def naive(node):
    """All twelve, in step."""
    model = lab.make_model(seed=0)
    for step in range(1, 1001):
        gradient = task.gradient(node, model, batch=16)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.1)
        if step % 20 == 0 and task.passed(node, model):
            break
    return model


def faster_rate(node):
    """The same at five times the rate."""
    model = lab.make_model(seed=0)
    for step in range(1, 1001):
        gradient = task.gradient(node, model, batch=16)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % 20 == 0 and task.passed(node, model):
            break
    return model


def eleven(node):
    """Without the slow one."""
    if node.rank == 5:
        return None
    team, model = node.group([rank for rank in range(12) if rank != 5]), lab.make_model(seed=0)
    for step in range(1, 1001):
        gradient = task.gradient(node, model, batch=16)
        team.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % 20 == 0 and task.passed(node, model):
            break
    return model


def seldom(node):
    """Eleven that average their parameters every 32 steps."""
    if node.rank == 5:
        return None
    team, model = node.group([rank for rank in range(12) if rank != 5]), lab.make_model(seed=0)
    for step in range(1, 1001):
        lab.sgd_step(model, task.gradient(node, model, batch=16), lr=0.5)
        if step % 32 == 0:
            team.all_reduce(lab.parameters(model), op="mean")
            if task.passed(node, model):
                break
    return model


def alone(node):
    """One node, at the naive rate."""
    if node.rank > 0:
        return None
    model = lab.make_model(seed=0)
    for step in range(1, 1001):
        lab.sgd_step(model, task.gradient(node, model, batch=16), lr=0.1)
        if step % 20 == 0 and task.passed(node, model):
            break
    return model


def cheapest(node):
    """One node, at a larger rate, looking less often."""
    if node.rank > 0:
        return None
    model = lab.make_model(seed=0)
    for step in range(1, 1001):
        lab.sgd_step(model, task.gradient(node, model, batch=16), lr=0.5)
        if step % 50 == 0 and task.passed(node, model):
            break
    return model


def fastest(node):
    """One host, in step."""
    if node.rank >= 4:
        return None
    host, model = node.group(range(4)), lab.make_model(seed=0)
    for step in range(1, 1001):
        gradient = task.gradient(node, model, batch=16)
        host.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.5)
        if step % 40 == 0 and task.passed(node, model):
            break
    return model


ENTRIES: dict[str, Callable[..., Any]] = {
    "twelve, lr 0.1": naive,
    "twelve, lr 0.5": faster_rate,
    "eleven, lr 0.5": eleven,
    "eleven, seldom": seldom,
    "one, lr 0.1": alone,
    "cheapest known": cheapest,
    "fastest known": fastest,
}


def steps_of(score: Any) -> int:
    """How many gradients rank 0 took: its compute spans, but for the longer ones of ``task.passed``."""
    spans = score.history.spans
    mine = spans[(spans["rank"] == 0) & (spans.kind == "compute")]
    return int((mine.end_s - mine.start_s < 0.02).sum())


def main() -> None:
    """Score them, and write data/sweeps/contest.csv."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, entry in ENTRIES.items():
        score = task.score(entry, name=name)
        rows.append({"entry": name, "seconds": round(score.seconds, 3), "cents": round(100 * score.money, 3)})
        rows[-1] |= {"node_seconds": round(score.node_seconds, 2), "reached": score.reached}
        rows[-1] |= {"checked": score.checked, "held_out": score.held_out, "confirmed": score.confirmed}
        rows[-1] |= {"steps": steps_of(score)}
        print(score, flush=True)
    write("contest", rows)


if __name__ == "__main__":
    main()
