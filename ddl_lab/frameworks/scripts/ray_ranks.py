"""Ray as a launcher: a task a rank, told who it is by four variables; the script is a rank of torchrun's."""

import os
import subprocess
import sys
from pathlib import Path

import ray
from each import free_ports

SCRIPT = Path(__file__).with_name(os.environ["RANK_SCRIPT"])


@ray.remote(num_cpus=1)
def rank_of(number, world, port):
    """One rank, in a process of its own below this task."""
    told = {"RANK": number, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    variables = {**os.environ, **{name: str(value) for name, value in told.items()}}
    subprocess.run([sys.executable, SCRIPT], env=variables, check=True)


world, (port,) = int(os.environ["WORLD_SIZE"]), free_ports(1)
folder, size = os.environ["DDL_LAB_TASK"], 200_000_000
ray.init(num_cpus=world, include_dashboard=False, object_store_memory=size, _temp_dir=folder)
ray.get([rank_of.remote(number, world, port) for number in range(world)])
ray.shutdown()
