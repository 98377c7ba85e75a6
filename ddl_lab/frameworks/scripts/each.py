"""A launcher of its own: each.py WORLD SCRIPT starts the script as WORLD processes, on free ports."""

import os
import socket
import subprocess
import sys
import time


def free_ports(count):
    """Ports of the loopback that nobody uses now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


if __name__ == "__main__":
    world, script = int(sys.argv[1]), sys.argv[2]
    common = {**os.environ, "WORLD_SIZE": str(world), "PORTS": " ".join(map(str, free_ports(world)))}
    ranks = [
        subprocess.Popen([sys.executable, script], env={**common, "RANK": str(rank)}) for rank in range(world)
    ]
    while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
        time.sleep(0.02)
    failed = [rank.returncode for rank in ranks if rank.poll()]
    for rank in ranks if failed else ():
        rank.terminate()
    sys.exit(failed[0] if failed else 0)
