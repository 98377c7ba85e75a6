"""Playing a program (``programs.py``): its worker, in any engine.

Every rank knows what must come, and says so itself where something else does.
"""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from carried import bits, content, laid, reduced, same
from torch import Tensor

EXCHANGES = ("reduce", "gather", "scatter", "all_to_all")
COLLECTIVES = ("barrier", "broadcast", "all_reduce", "reduce_scatter", "all_gather", *EXCHANGES)


@dataclass(frozen=True)
class Act:
    """One call of one rank, at its place among all calls of the program."""

    at: float
    rank: int
    call: str  # a method of ``Player``
    told: dict[str, Any]

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.told.items())
        return f"{self.at:.4f} rank {self.rank}: {self.call}({told})"


def play(node: Any, scripts: list[list[Act]], exact: bool = True) -> list[tuple[str, Tensor]]:
    """The worker of every program; returns what this rank got, by name, in order.

    Raises ``AssertionError`` where that is not what must come. Not ``exact``: sums may differ in last bits.
    """
    player = Player(node, exact)
    for act in scripts[node.rank]:
        getattr(player, act.call)(**act.told)
    player.check_untouched()
    return player.seen


class Player:
    """Carries out acts; keeps what is under way, by name, and all that came."""

    def __init__(self, node: Any, exact: bool) -> None:
        self.node, self.exact = node, exact
        self.under_way: dict[str, tuple[Any, Callable[[], None]]] = {}
        self.seen: list[tuple[str, Tensor]] = []
        self.boxes: list[Tensor] = []

    def see(self, name: str, got: Tensor, expected: Tensor) -> None:
        assert same(got, expected, self.exact), f"{name}: got {got}, expected {expected}"
        self.seen.append((name, got.clone()))
        self.boxes.append(got)

    def check_untouched(self) -> None:
        """What came stays as it came: nothing is written late."""
        for (name, came), box in zip(self.seen, self.boxes, strict=True):
            assert torch.equal(bits(came), bits(box)), f"{name} was written to after its wait"

    def group(self, ranks: tuple[int, ...], outer: tuple[int, ...] | None) -> Any:
        if outer is None:
            return self.node if ranks == tuple(range(self.node.world_size)) else self.node.group(ranks)
        return self.node.group(outer).group([outer.index(rank) for rank in ranks])

    # messages

    def send(self, ranks, outer, peer, tag, name, kind, holds):
        tensor = laid(kind, holds)
        self.group(ranks, outer).send(tensor, peer, tag)
        tensor.zero_()

    def isend(self, ranks, outer, peer, tag, name, kind, holds):
        tensor = laid(kind, holds)
        handle = self.group(ranks, outer).isend(tensor, peer, tag)
        self.under_way[name] = handle, tensor.zero_

    def recv(self, ranks, outer, peer, tag, name, kind, holds):
        box = torch.zeros_like(laid(kind, 0))
        assert self.group(ranks, outer).recv(box, peer, tag) == peer
        self.see(name, box, laid(kind, holds))

    def irecv(self, ranks, outer, peer, tag, name, kind, holds):
        box = torch.zeros_like(laid(kind, 0))
        handle = self.group(ranks, outer).irecv(box, peer, tag)
        self.under_way[name] = handle, lambda: self.see(name, box, laid(kind, holds))

    def collect(self, ranks, outer, tag, name, kind):
        group, came = self.group(ranks, outer), {}
        for _ in range(len(ranks) - 1):
            box = torch.zeros_like(laid(kind, 0))
            came[group.recv(box, tag=tag)] = box
        for src, box in sorted(came.items()):
            self.see(f"{name} from {src}", box, laid(kind, int(name) * 100 + ranks[src]))
        assert len(came) == len(ranks) - 1, f"{name} came from {sorted(came)}"

    def look(self, name: str) -> None:
        handle, _ = self.under_way[name]
        handle.done()

    def sent(self, name: str) -> None:
        handle, after = self.under_way.pop(name)
        handle.wait()
        after()

    received = met = sent

    # collectives

    def meet(self, ranks, outer, name, collective, beside, computing, **told):
        group = self.group(ranks, outer)
        if computing:
            with self.node.compute(seconds=1e-5):
                handle, after = getattr(self, collective)(group, name, beside, **told)
        else:
            handle, after = getattr(self, collective)(group, name, beside, **told)
        if beside:
            self.under_way[name] = handle, after
        else:
            after()

    def barrier(self, group, name, beside, **_):
        return group.barrier(async_op=beside), lambda: None

    def broadcast(self, group, name, beside, kind, src, number, **_):
        box = laid(kind, number * 100 + group.rank)
        handle = group.broadcast(box, src, async_op=beside)
        return handle, lambda: self.see(name, box, laid(kind, number * 100 + src))

    def all_reduce(self, group, name, beside, kind, op, number, **_):
        parts = [laid(kind, number * 100 + rank) for rank in range(group.world_size)]
        box = laid(kind, number * 100 + group.rank)
        handle = group.all_reduce(box, op, async_op=beside)
        return handle, lambda: self.see(name, box, reduced(parts, op))

    def _pieces(self, group, kind, number, chunks):
        """By rank: what it gives, a piece for each rank."""
        sizes, first = chunks or [kind["size"]] * group.world_size, number * 10_000
        n = group.world_size
        return [[content(kind["dtype"], sizes[k], first + r * n + k) for k in range(n)] for r in range(n)]

    def reduce_scatter(self, group, name, beside, kind, op, number, chunks, **_):
        pieces = self._pieces(group, kind, number, chunks)
        own = pieces[group.rank] if chunks else torch.cat(pieces[group.rank])
        given = [piece.clone() for piece in own] if chunks else own.clone()
        box = torch.zeros_like(pieces[0][group.rank])
        handle = group.reduce_scatter(box, given, op, async_op=beside)

        def after() -> None:
            expected = reduced([parts[group.rank] for parts in pieces], op)
            self.see(name, box, expected)
            for part in given if chunks else [given]:
                part.zero_()

        return handle, after

    def all_gather(self, group, name, beside, kind, number, chunks, **_):
        pieces = [parts[rank] for rank, parts in enumerate(self._pieces(group, kind, number, chunks))]
        given, whole = pieces[group.rank].clone(), torch.cat(pieces)
        box = list(map(torch.zeros_like, pieces)) if chunks else torch.zeros_like(whole)
        handle = group.all_gather(box, given, async_op=beside)

        def after() -> None:
            given.zero_()
            for k, part in enumerate(box if chunks else [box]):
                self.see(f"{name} {k}", part, pieces[k] if chunks else whole)

        return handle, after

    def reduce(self, group, name, beside, kind, op, src, number, **_):
        parts = [laid(kind, number * 100 + rank) for rank in range(group.world_size)]
        box = laid(kind, number * 100 + group.rank)
        handle = group.reduce(box, src, op, async_op=beside)
        expected = reduced(parts, op) if group.rank == src else box.clone()
        return handle, lambda: self.see(name, box, expected)

    def gather(self, group, name, beside, kind, src, number, chunks, **_):
        parts = [row[rank] for rank, row in enumerate(self._pieces(group, kind, number, chunks))]
        boxes = list(map(torch.zeros_like, parts)) if group.rank == src else None
        handle = group.gather(parts[group.rank].clone(), boxes, src, async_op=beside)
        return handle, lambda: self._see_all(name, boxes or [], parts)

    def scatter(self, group, name, beside, kind, src, number, chunks, **_):
        parts = self._pieces(group, kind, number, chunks)[src]
        box = torch.zeros_like(parts[group.rank])
        given = [part.clone() for part in parts] if group.rank == src else None
        handle = group.scatter(box, given, src, async_op=beside)
        return handle, lambda: self.see(name, box, parts[group.rank])

    def all_to_all(self, group, name, beside, kind, number, chunks, **_):
        pieces = self._pieces(group, kind, number, chunks)
        mine = [row[group.rank] for row in pieces]
        boxes = list(map(torch.zeros_like, mine))
        handle = group.all_to_all(boxes, [p.clone() for p in pieces[group.rank]], async_op=beside)
        return handle, lambda: self._see_all(name, boxes, mine)

    def _see_all(self, name, boxes, expected):
        for k, box in enumerate(boxes):
            self.see(f"{name} {k}", box, expected[k])

    # alone

    def compute(self, name: str, unit: tuple[str, float]) -> None:
        with self.node.compute(**dict([unit])):
            x = torch.rand(8, 8)
            made = torch.tanh(x @ x)
        self.see(name, made, made.clone())

    def draw(self, name: str) -> None:
        made = torch.tensor([torch.rand(()).item(), random.random(), np.random.rand()], dtype=torch.float64)
        self.see(name, made, made.clone())

    def record(self, value: int) -> None:
        self.node.record(value=value)

    # faults

    def fail(self) -> None:
        raise ArithmeticError("this rank has had enough")

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def tear(self, name: str) -> None:
        _, overwrite = self.under_way[name]
        overwrite()
