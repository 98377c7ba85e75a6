"""JAX over processes: each owns a device of one mesh. The step is the same; starting them is your affair."""

import os

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax_step import make_step, padded
from lesson import batches, first_weights, report

rank, world, ports = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), os.environ["PORTS"].split()
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{ports[0]}", world, rank)
mesh = Mesh(np.array(jax.devices()), ("ranks",))  # the devices of all processes
step, losses = make_step(mesh), []
everywhere, cut = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("ranks"))
weights = [jax.make_array_from_process_local_data(everywhere, w) for w in first_weights()]
for x, y in batches(rank, world):
    rows = [jax.make_array_from_process_local_data(cut, part) for part in padded(x, y)]
    weights, loss = step(weights, *rows)
    losses.append(float(loss.addressable_data(0)[0]))  # of this process
report(rank, mesh.size, losses, [w.addressable_data(0) for w in weights] if rank == 0 else None)
jax.distributed.shutdown()
