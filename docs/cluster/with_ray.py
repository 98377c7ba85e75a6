"""Ray as a launcher: each rank is an actor's child, told who it is by five variables.

python with_ray.py 4 python train.py      on this machine; RAY_ADDRESS=auto on a cluster, where train.py has
                                          the same path on every host
"""

import os
import socket
import subprocess
import sys

import ray


@ray.remote(num_cpus=1)
class Rank:
    """A place for one rank, wherever Ray puts it."""

    def where(self):
        """This host's address, and a port that is free on it."""
        with socket.socket() as found:
            found.bind(("", 0))
            return ray.util.get_node_ip_address(), found.getsockname()[1]

    def train(self, told, command):
        """Run the command as the rank that it is told to be."""
        subprocess.run(command, env={**os.environ, **told}, check=True)


world, command = int(sys.argv[1]), sys.argv[2:]
here = {"num_cpus": world, "include_dashboard": False}
ray.init(**({} if os.environ.get("RAY_ADDRESS") else here))
ranks = [Rank.remote() for _ in range(world)]
address, port = ray.get(ranks[0].where.remote())
job = {"WORLD_SIZE": str(world), "LOCAL_RANK": "0", "MASTER_ADDR": address, "MASTER_PORT": str(port)}
ray.get([rank.train.remote({**job, "RANK": str(number)}, command) for number, rank in enumerate(ranks)])
