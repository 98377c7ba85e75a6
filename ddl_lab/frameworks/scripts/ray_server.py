"""Ray itself: actors and futures. A parameter server is a class, a rank another, and an argument that isn't
there yet is waited for."""

import os

import numpy as np
import ray
from lesson import LR, batches, first_weights, flat, forward_backward, report, step_by, steps


@ray.remote
class Server:
    """Holds the weights; a push of all ranks' gradients is one step."""

    def __init__(self):
        self.weights = first_weights()

    def pull(self):
        return self.weights

    def push(self, *gradients):
        self.weights = [w.copy() for w in self.weights]
        step_by(self.weights, sum(gradients) / np.float32(len(gradients)), LR)
        return self.weights


@ray.remote
class Rank:
    """Computes gradients of its own rows, at whatever weights it is given."""

    def __init__(self, rank, world):
        self.rank, self.world, self.losses = rank, world, []
        self.batches = batches(rank, world)

    def gradient(self, weights):
        loss, found = forward_backward(weights, *next(self.batches))
        self.losses.append(loss)
        return flat(found)

    def tell(self, weights):
        report(self.rank, self.world, self.losses, weights if self.rank == 0 else None)


world, folder = int(os.environ["WORLD_SIZE"]), os.environ["DDL_LAB_TASK"]
ray.init(num_cpus=world + 1, include_dashboard=False, object_store_memory=200_000_000, _temp_dir=folder)
server, ranks = Server.remote(), [Rank.remote(rank, world) for rank in range(world)]
weights = server.pull.remote()
for _ in range(steps(world)):
    weights = server.push.remote(*[rank.gradient.remote(weights) for rank in ranks])  # nothing waits here
ray.get([rank.tell.remote(weights) for rank in ranks])
ray.shutdown()
