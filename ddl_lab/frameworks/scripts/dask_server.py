"""Dask: a client sends functions to workers and gathers what they return: it is the parameter server."""

import os

import numpy as np
from dask.distributed import Client, LocalCluster
from lesson import LR, batches, first_weights, flat, forward_backward, report, step_by


def gradient(weights, x, y):
    """On a worker: the loss and the flat gradient."""
    loss, found = forward_backward(weights, x, y)
    return loss, flat(found)


if __name__ == "__main__":
    world = int(os.environ["WORLD_SIZE"])
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=world, **options) as cluster, Client(cluster) as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        weights, losses = first_weights(), [[] for _ in workers]
        for each in zip(*(batches(rank, world) for rank in range(world)), strict=True):
            there = client.scatter(weights, broadcast=True, hash=False)
            tasks = [
                client.submit(gradient, there, x, y, workers=where, pure=False)
                for where, (x, y) in zip(workers, each, strict=True)
            ]
            found = client.gather(tasks)
            step_by(weights, sum(g for _, g in found) / np.float32(world), LR)
            for mine, (loss, _) in zip(losses, found, strict=True):
                mine.append(loss)
        for rank, mine in enumerate(losses):
            report(rank, len(workers), mine, weights if rank == 0 else None)
