"""The peers: the same work by torch's own launchers, loops and process groups, each in fresh processes.

``python -m benchmarks.peers NAME [ARGUMENTS]`` prints one number on its last line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

import ddl_lab as lab
from ddl_lab.training.data import Split

ROOT = Path(__file__).parents[1]


def measure(name: str, *arguments: object) -> float:
    """Run one peer in a process of its own; the number it prints."""
    command = [sys.executable, "-m", "benchmarks.peers", name, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def network() -> nn.Sequential:
    """The article's network (with its missing ReLU), as torch users write it."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 1))


def train(model: nn.Module, train_split: Split, rank: int, nodes: int, batch: int, steps: int) -> float:
    """A plain torch loop; returns samples per second of all nodes together."""
    loss_of = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    order = torch.randperm(len(train_split.x), generator=torch.Generator().manual_seed(0))
    shard = order[rank::nodes]
    x, y = train_split.x.clone(), train_split.y.clone()

    def step(k: int) -> None:
        low = k * batch % (len(shard) - batch)
        taken = shard[low : low + batch]  # a shuffled batch is gathered, as every loader does
        optimizer.zero_grad()
        loss_of(model(x[taken]), y[taken]).backward()
        optimizer.step()

    for k in range(50):
        step(k)
    began = time.perf_counter()
    for k in range(steps):
        step(k)
    return nodes * batch * steps / (time.perf_counter() - began)


def one_process(batch: str, steps: str) -> None:
    """One process, one torch thread."""
    torch.set_num_threads(1)
    print(train(network(), lab.load_digits().train, 0, 1, int(batch), int(steps)))


def _join(rank: int, path: str, nodes: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=nodes)


def _leave(rank: int, number: float) -> None:
    """Print and end at once: gloo's clean-up at exit aborts now and then."""
    if rank == 0:
        print(number, flush=True)
    os._exit(0)


def _ddp(rank: int, path: str, nodes: int, batch: int, steps: int) -> None:
    _join(rank, path, nodes)
    model = nn.parallel.DistributedDataParallel(network())
    _leave(rank, train(model, lab.load_digits().train, rank, nodes, batch, steps))


def ddp(nodes: str, batch: str, steps: str) -> None:
    """DistributedDataParallel over gloo; samples per second of all ranks together."""
    _spawn(_ddp, int(nodes), int(batch), int(steps))


def _spawn(function: object, nodes: int, *arguments: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(function, (os.path.join(folder, "store"), nodes, *arguments), nprocs=nodes)


def _all_reduce(rank: int, path: str, nodes: int, count: int, repeats: int) -> None:
    _join(rank, path, nodes)
    tensor = torch.ones(count)
    for _ in range(max(3, repeats // 10)):
        dist.all_reduce(tensor)
    began = time.perf_counter()
    for _ in range(repeats):
        dist.all_reduce(tensor)
    _leave(rank, (time.perf_counter() - began) / repeats)


def gloo_all_reduce(nodes: str, count: str, repeats: str) -> None:
    """Seconds of one all-reduce of ``count`` float32."""
    _spawn(_all_reduce, int(nodes), int(count), int(repeats))


def _ping_pong(rank: int, path: str, nodes: int, repeats: int) -> None:
    _join(rank, path, nodes)
    box = torch.zeros(2)
    peer = 1 - rank
    for k in range(repeats + 50):
        if k == 50:
            began = time.perf_counter()
        if rank == 0:
            dist.send(box, peer)
            dist.recv(box, peer)
        else:
            dist.recv(box, peer)
            dist.send(box, peer)
    _leave(rank, (time.perf_counter() - began) / repeats / 2)


def gloo_ping_pong(repeats: str) -> None:
    """Seconds of one message of 8 bytes, one way."""
    _spawn(_ping_pong, 2, int(repeats))


def _first_all_reduce(rank: int, path: str, nodes: int) -> None:
    _join(rank, path, nodes)
    dist.all_reduce(torch.ones(1))
    os._exit(0)


def spawn_first_all_reduce(nodes: str) -> None:
    """Seconds from torch.multiprocessing.spawn to the end of every rank's first all-reduce."""
    began = time.perf_counter()
    _spawn(_first_all_reduce, int(nodes))
    print(time.perf_counter() - began)


def torchrun_first_all_reduce(nodes: str) -> None:
    """Seconds from calling torchrun to the end of its ranks' first all-reduce."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nodes}"]
    began = time.perf_counter()
    subprocess.run([*command, "-m", "benchmarks.peers", "torchrun_rank"], check=True, capture_output=True)
    print(time.perf_counter() - began)


def torchrun_rank() -> None:
    """One of torchrun's ranks."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    dist.all_reduce(torch.ones(1))
    os._exit(0)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
