"""Dask as a launcher: each rank is a task's child on a worker of its own, told who it is by five variables.

python with_dask.py 4 python train.py     on this machine; DASK_SCHEDULER_ADDRESS=tcp://HOST:8786 on a
                                          cluster, where train.py has the same path on every host
"""

import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

from dask.distributed import Client, Event


def free_port():
    """A port that is free on the host where this runs."""
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def train(told, command):
    """Run the command as the rank that it is told to be, until it ends or another one has failed."""
    stop, child = Event("stop"), subprocess.Popen(command, env={**os.environ, **told})
    while child.poll() is None:
        if stop.wait(timeout=1):
            child.terminate()
    if child.returncode:
        stop.set()
        raise subprocess.CalledProcessError(child.returncode, command)


if __name__ == "__main__":
    world, command = int(sys.argv[1]), sys.argv[2:]
    cluster = os.environ.get("DASK_SCHEDULER_ADDRESS")
    here = {"n_workers": world, "threads_per_worker": 1, "dashboard_address": None}
    with Client(cluster) if cluster else Client(**here) as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"])[:world]
        if len(workers) < world:
            sys.exit(f"{world} ranks were asked, and {len(workers)} workers are there")
        address, port = urlsplit(workers[0]).hostname, client.submit(free_port, workers=workers[0]).result()
        job = {"WORLD_SIZE": str(world), "LOCAL_RANK": "0", "MASTER_ADDR": address, "MASTER_PORT": str(port)}
        tasks = [
            client.submit(train, {**job, "RANK": str(number)}, command, workers=worker, pure=False)
            for number, worker in enumerate(workers)
        ]
        try:
            client.gather(tasks)
        finally:  # also after an interrupt: nobody waits for a rank that is gone
            Event("stop").set()
            client.gather(tasks, errors="skip")
