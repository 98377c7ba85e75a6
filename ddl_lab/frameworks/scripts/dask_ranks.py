"""Dask as a launcher: a task a rank, each on a worker of its own; the script is torchrun's, unchanged."""

import os
import subprocess
import sys
from pathlib import Path

from dask.distributed import Client, LocalCluster
from each import free_ports


def rank_of(number, world, port):
    """One rank, in a process of its own below this worker."""
    told = {"RANK": number, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    variables = {**os.environ, **{name: str(value) for name, value in told.items()}}
    script = Path(os.environ["PYTHONPATH"]) / "torch_ranks.py"
    subprocess.run([sys.executable, script], env=variables, check=True)


if __name__ == "__main__":
    world, (port,) = int(os.environ["WORLD_SIZE"]), free_ports(1)
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=world, **options) as cluster, Client(cluster) as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        ranks = [
            client.submit(rank_of, number, world, port, workers=where, pure=False)
            for number, where in enumerate(workers)
        ]
        client.gather(ranks)
