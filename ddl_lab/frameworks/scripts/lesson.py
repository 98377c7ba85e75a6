"""What every script shares, with NumPy alone: rows, their order, first weights; and what a rank reports."""

import base64
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

LR, BATCH, HIDDEN = 0.1, 64, 256
FOLDER = Path(os.environ["DDL_LAB_TASK"])  # of one run, and removed after it
_task = np.load(FOLDER / "task.npz")
X, Y, ORDER = _task["x"], _task["y"], _task["order"]  # (4000, 784), (4000, 1), (epochs, 4000)
_began: dict[int, list[float]] = {}  # by rank: when it asked for each batch


def steps(world):
    """How many steps ``world`` ranks take, over all epochs."""
    return len(ORDER) * -(-len(X) // (world * BATCH))


def batch(rank, world, step):
    """The rows of one step of one rank, (b, 784) and (b, 1): those of ``lab.batches``."""
    if rank not in _began:
        (FOLDER / f"began-{rank}").touch()
    _began.setdefault(rank, []).append(time.time())
    epoch, step = divmod(step, steps(world) // len(ORDER))
    parts = steps(world) // len(ORDER) * world
    part = step * world + rank
    rows = ORDER[epoch][part * len(X) // parts : (part + 1) * len(X) // parts]
    return X[rows], Y[rows]


def batches(rank, world):
    """All of them, one after another."""
    return (batch(rank, world, step) for step in range(steps(world)))


def first_weights():
    """W1 (256, 784), b1 (256,), W2 (1, 256), b2 (1,), laid out as torch's layers have them."""
    w1, b1, w2, b2 = np.split(_task["weights"].copy(), np.cumsum([HIDDEN * 784, HIDDEN, HIDDEN]))
    return w1.reshape(HIDDEN, 784), b1, w2.reshape(1, HIDDEN), b2


def forward_backward(weights, x, y):
    """The mean loss of a batch, and its gradient by each of the weights, by hand."""
    w1, b1, w2, b2 = weights
    h = np.maximum(x @ w1.T + b1, 0)
    z = h @ w2.T + b2
    loss = np.mean(np.logaddexp(z, np.float32(0)) - z * y)
    dz = (1 / (1 + np.exp(-z)) - y) / np.float32(len(x))
    dh = (dz @ w2) * (h > 0)
    return float(loss), [dh.T @ x, dh.sum(0), dz.T @ h, dz.sum(0)]


def flat(arrays):
    """Arrays as one float32 vector, (P,)."""
    return np.concatenate([np.asarray(a, np.float32).ravel() for a in arrays])


def step_by(weights, gradient, lr=LR):
    """weights -= lr * gradient, in place; gradient: flat, (P,)."""
    sizes = np.cumsum([w.size for w in weights])[:-1]
    for w, g in zip(weights, np.split(gradient, sizes), strict=True):
        w -= np.float32(lr) * g.reshape(w.shape)


def torch_model():
    """The same network as torch's layers."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(784, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
    with torch.no_grad():
        for p, w in zip(model.parameters(), first_weights(), strict=True):
            p.copy_(torch.from_numpy(w))
    return model


def report(rank, world, losses, weights=None):
    """Tell who this rank thinks it is, its losses, its times, and from one rank the last weights."""
    line = {"rank": int(rank), "world": int(world), "pid": os.getpid(), "losses": [float(v) for v in losses]}
    line |= {"began_s": _began.get(rank, []), "ended_s": time.time()}
    if weights is not None:
        line["weights"] = base64.b64encode(flat(weights).tobytes()).decode()
    file = FOLDER / f"rank-{rank}-{os.getpid()}"
    file.with_suffix(".part").write_text(json.dumps(line) + "\n")
    file.with_suffix(".part").replace(file.with_suffix(".json"))  # it appears whole or not at all


def leave():
    """End this process at once: what some libraries do in their own good time ends in an abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
