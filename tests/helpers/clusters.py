"""What tests of docs/cluster are run with: train.py on one machine, and a Slurm made of stand-ins."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jobs import ROOT

import ddl_lab as lab

CLUSTER = ROOT / "docs" / "cluster"

# what srun does with a command: a process a task, each told who it is; one that fails ends the others
SRUN = f"""#!{sys.executable}
import os, subprocess, sys, time
words = sys.argv[1:]
while words[0].startswith("--"):
    words.pop(0)
hosts, each = int(os.environ["SLURM_JOB_NUM_NODES"]), int(os.environ["SLURM_NTASKS_PER_NODE"])
places = [place.split() for place in os.environ.get("TEST_PLACES", ";" * (hosts - 1)).split(";")]
tasks = []
for number in range(hosts * each):
    told = {{"PROCID": number, "NODEID": number // each, "LOCALID": number % each, "NTASKS": hosts * each}}
    told = {{f"SLURM_{{name}}": str(value) for name, value in told.items()}}
    tasks.append(subprocess.Popen([*places[number // each], *words], env=os.environ | told))
while any(task.poll() is None for task in tasks) and not any(task.poll() for task in tasks):
    time.sleep(0.05)
for task in tasks:
    if task.poll() is None and any(other.poll() for other in tasks):
        task.terminate()
sys.exit(max(abs(task.wait()) for task in tasks))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What train.py trains by itself, on four processes of this machine."""
    kept = tmp_path_factory.mktemp("alone") / "alone.npz"
    command, environ = [sys.executable, "train.py", str(kept)], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=CLUSTER, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return lab.History.load(kept)


def the_same(kept, alone):
    """A job of four ranks has trained what one machine trains, but for the order of adding."""
    job = lab.History.load(kept)
    assert job.nodes == 4 and job.about["launcher"] == "torchrun"
    for theirs, ours in zip(job.results, alone.results, strict=True):
        assert torch.equal(theirs, job.results[0]) and (theirs - ours).norm() <= 1e-6 * ours.norm()


def directives(script):
    """What the lines that begin with #SBATCH ask for."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script.read_text(), re.M))


def sbatch(script, *arguments, folder, hosts=("127.0.0.1", "other"), **environ):
    """Run a batch script as its job would, two ranks a host; how it ended, with what it said.

    ``folder``: where the stand-ins go. ``hosts``: what scontrol calls them, the first one's address first.
    """
    asked = directives(script) | {"nodes": str(len(hosts))}
    tasks = "2" if asked["ntasks-per-node"] != "1" else "1"  # as `sbatch --ntasks-per-node=2` would have it
    _program(folder / "srun", SRUN)
    _program(folder / "scontrol", "#!/bin/sh\n" + "".join(f"echo {host}\n" for host in hosts))
    _program(folder / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    job = {
        "SLURM_JOB_ID": str(10_000 + os.getpid() % 10_000),
        "SLURM_JOB_NODELIST": "host[1-2]",
        "SLURM_JOB_NUM_NODES": asked["nodes"],
        "SLURM_NTASKS_PER_NODE": tasks,
        "SLURM_CPUS_PER_TASK": "2" if tasks == "1" else asked["cpus-per-task"],
    }
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = os.environ | job | {"PATH": path, "PYTHONPATH": str(ROOT)} | environ
    command = ["bash", str(script), *map(str, arguments)]
    return subprocess.run(command, env=environ, cwd=CLUSTER, capture_output=True, text=True, timeout=180)


def _program(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
