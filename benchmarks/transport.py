"""Messages and collectives over shared memory, against gloo and against a memory copy."""

from __future__ import annotations

from collections.abc import Iterator

import torch

import ddl_lab as lab
from ddl_lab.node.node import Node

from . import peers
from .table import Row, medians

GRADIENT = 201_217  # the article's network
LARGE = 2**24  # 64 MB


def all_reduce_s(nodes: int, count: int, repeats: int) -> float:
    """Seconds of one all-reduce of ``count`` float32."""

    def worker(node: Node) -> float:
        tensor = torch.ones(count)
        for _ in range(max(3, repeats // 10)):
            node.all_reduce(tensor)
        began = node.now()
        for _ in range(repeats):
            node.all_reduce(tensor)
        return (node.now() - began) / repeats

    return float(lab.run(worker, nodes, progress=False).results[0])


def ping_pong_s(repeats: int) -> float:
    """Seconds of one message of 8 bytes, one way."""

    def worker(node: Node) -> float:
        box, peer, began = torch.zeros(2), 1 - node.rank, 0.0
        for k in range(repeats + 50):
            if k == 50:
                began = node.now()
            if node.rank == 0:
                node.send(box, peer)
                node.recv(box, peer)
            else:
                node.recv(box, peer)
                node.send(box, peer)
        return (node.now() - began) / repeats / 2

    return float(lab.run(worker, 2, progress=False).results[0])


def copy_s() -> float:
    """Seconds in which one thread copies the large tensor."""

    def worker(node: Node) -> float:
        source, target = torch.ones(LARGE), torch.zeros(LARGE)
        began = node.now()
        for _ in range(5):
            target.copy_(source)
        return (node.now() - began) / 5

    return float(lab.run(worker, 1, progress=False).results[0])


def rows() -> Iterator[Row]:
    """All-reduce of a gradient and of 64 MB, and the ping-pong of 8 bytes."""
    got = medians(
        {
            "small": lambda: all_reduce_s(2, GRADIENT, 300),
            "gloo": lambda: peers.measure("gloo_all_reduce", 2, GRADIENT, 300),
            "large": lambda: all_reduce_s(2, LARGE, 5),
            "copy": copy_s,
            "ping": lambda: ping_pong_s(1_000),
            "gloo ping": lambda: peers.measure("gloo_ping_pong", 1_000),
        }
    )
    small, gloo = got["small"], got["gloo"]
    what = "all-reduce of {} on 2 nodes over shm"
    yield Row(what.format("0.8 MB"), f"{small * 1e6:.0f} us", f"gloo {gloo * 1e6:.0f} us", gloo / small, 8)
    large, copy = got["large"], got["copy"]  # 2(n-1)/n S is S for two nodes
    yield Row(what.format("64 MB"), f"{large * 1e3:.1f} ms", f"copy {copy * 1e3:.1f} ms", copy / large, 0.25)
    ping, peer = got["ping"], got["gloo ping"]
    yield Row(
        "message of 8 bytes, one way, over shm", f"{ping * 1e6:.1f} us",
        f"gloo {peer * 1e6:.1f} us", peer / ping, 3,
    )  # fmt: skip
