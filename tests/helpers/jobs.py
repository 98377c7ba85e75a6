"""Jobs of torchrun: its agents, and a script that goes on after its ranks were killed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# python goes_on.py FOLDER STEP-RANK …: at these steps these ranks die, the first time they come there
GOES_ON = """
import os, signal, sys
from pathlib import Path
import torch
import ddl_lab as lab

def worker(node, folder, doomed):
    saved = folder / "checkpoint.pt" if folder else None
    found = torch.load(saved) if saved and saved.exists() else {"step": 0, "state": torch.zeros(3)}
    state = found["state"]
    node.barrier()  # all have read it
    for step in range(found["step"], 9):
        part = torch.rand(3, generator=torch.Generator().manual_seed(step)) * (node.rank + 1)
        here = f"{step}-{node.rank}"
        if here in doomed and not (folder / here).exists():
            (folder / here).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        node.all_reduce(part, op="mean")
        state += part
        if node.rank == 0 and folder:
            torch.save({"step": step + 1, "state": state}, folder / "new.pt")
            os.replace(folder / "new.pt", saved)
        node.barrier()
    return state

if __name__ == "__main__":
    folder, doomed = Path(sys.argv[1]), sys.argv[2:]
    history = lab.run(worker, nodes=int(os.environ["WORLD_SIZE"]), args=(folder, doomed))
    if os.environ["RANK"] == "0":
        torch.save(history.results, folder / "results.pt")
"""


def killed(folder):
    """Which of the doomed have died."""
    return sorted(path.name for path in folder.glob("?-?"))


def torchrun(script, *arguments, nodes=4, hosts=1, options=()):
    """The agents of all ``hosts``, which are this one: exit code, output and errors of the first."""
    place = ["--standalone"]
    if hosts > 1:
        place = [f"--nnodes={hosts}", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}"]
    command = agent(script, *arguments, ranks=nodes // hosts, options=[*place, *options])
    return ended([started(command) for _ in range(hosts)])


def agent(script, *arguments, ranks, options):
    """The command of one host."""
    command = [sys.executable, "-m", "torch.distributed.run", *options, f"--nproc-per-node={ranks}"]
    return [*command, str(script), *map(str, arguments)]


def started(command, **environ):
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | environ
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environ}
    return subprocess.Popen(command, **pipes)


def ended(agents):
    """The largest exit code; output and errors of the first."""
    said = [agent.communicate(timeout=180) for agent in agents]
    return subprocess.CompletedProcess(agents[0].args, max(a.returncode for a in agents), *said[0])


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]
