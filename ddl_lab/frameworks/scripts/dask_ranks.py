"""Dask as a launcher: a task a rank, each on a worker of its own; the script is a rank of torchrun's."""

import os
import subprocess
import sys
from pathlib import Path

from dask.distributed import Client, LocalCluster
from each import free_ports

SCRIPT = Path(__file__).with_name(os.environ["RANK_SCRIPT"])


def rank_of(number, world, port):
    """One rank, in a process of its own below this worker."""
    told = {"RANK": number, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    variables = {**os.environ, **{name: str(value) for name, value in told.items()}}
    subprocess.run([sys.executable, SCRIPT], env=variables, check=True)


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
