"""Ranks on GPUs: tensors travel by way of host copies, and collectives over NCCL where each rank has a GPU.

Messages always take the host's way: NCCL matches sends and receives by their order alone, and a worker may
receive by tag and from any source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ...node.port import Collective, Group, Port, Ticket
from ...node.snapshot import Snapshot
from ..plan import Plan
from .endpoint import Endpoint
from .groups import MOVED, move
from .posted import Posted


class Staged:
    """An endpoint's port for a rank whose tensors live on ``device``: each is copied to the host and back."""

    def __init__(self, endpoint: Endpoint, device: torch.device) -> None:
        self.endpoint, self.device = endpoint, device
        self.rank = endpoint.rank
        self.now, self.computes, self.computed = endpoint.now, endpoint.computes, endpoint.computed
        self._landing: dict[Ticket, tuple[Tensor, Tensor]] = {}  # on the host, and where it belongs

    @property
    def algorithm(self) -> str:
        return self.endpoint.algorithm

    @property
    def chooses(self) -> bool:
        return self.endpoint.chooses

    def send(self, group: Group, tensor: Tensor, dst: int, tag: int, ticket: Ticket, snapshot: bool) -> None:
        host = _to_host(tensor)
        self.endpoint.send(group, host, dst, tag, ticket, False)
        if snapshot:  # the copy is one
            ticket.snapshot = Snapshot(host)

    def recv(self, group: Group, tensor: Tensor, tag: int, ticket: Ticket) -> None:
        host = torch.empty(tensor.shape, dtype=tensor.dtype)
        self._landing[ticket] = (host, tensor)
        self.endpoint.recv(group, host, tag, ticket)

    def wait(self, ticket: Ticket) -> None:
        self.endpoint.wait(ticket)
        self._land(ticket)

    def poll(self, ticket: Ticket) -> bool:
        done = self.endpoint.poll(ticket)
        if done:
            self._land(ticket)
        return done

    def _land(self, ticket: Ticket) -> None:
        host, tensor = self._landing.pop(ticket, (None, None))
        if host is not None and tensor is not None:
            tensor.copy_(host)

    @property
    def modelled(self) -> bool:
        return self.endpoint.modelled

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        staged = _on_host(work)
        times = self.endpoint.collective(group, staged)
        _land_result(staged, work, group.me)
        return times

    def copied(self, tensor: Tensor) -> Tensor:
        return tensor.clone()

    def start(self, group: Group, work: Collective) -> tuple[Posted, Collective]:
        return self.endpoint.start(group, _on_host(work)), work

    def finish(self, posted: tuple[Posted, Collective]) -> tuple[float, float]:
        times = self.endpoint.finish(posted[0])
        _land_result(posted[0].work, posted[1], posted[0].group.me)
        return times

    def look(self, posted: tuple[Posted, Collective]) -> bool:
        return self.endpoint.look(posted[0])


class NcclStaged(Staged):
    """As ``Staged``, but the collectives' tensors stay on the GPUs and move over NCCL."""

    def __init__(self, endpoint: Endpoint, device: torch.device, store: dist.Store) -> None:
        super().__init__(endpoint, device)
        self._store = store
        self._networks: dict[tuple[int, ...], Any] = {}

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        if work.name not in MOVED:
            return super().collective(group, work)
        self.endpoint.enters()
        last = self.endpoint.meet(group, work.call)
        if work.name != "barrier":
            move(self._network(group.ranks), group.me, work)
            torch.cuda.synchronize(self.device)
        return last, self.now()

    def _network(self, ranks: tuple[int, ...]) -> Any:
        if ranks not in self._networks:
            store = dist.PrefixStore("nccl-" + "-".join(map(str, ranks)), self._store)
            me, options = ranks.index(self.rank), dist.ProcessGroupNCCL.Options()
            self._networks[ranks] = dist.ProcessGroupNCCL(store, me, len(ranks), options)
        return self._networks[ranks]


def place(endpoint: Endpoint, plan: Plan, local_rank: int, store: Callable[[], dist.Store]) -> Port:
    """The port of a rank on its device: the endpoint itself on the CPU."""
    if plan.device == "cpu":
        return endpoint
    device = torch.device(plan.device, local_rank % plan.gpus)
    torch.cuda.set_device(device)
    if plan.transport == "nccl":
        return NcclStaged(endpoint, device, store())
    return Staged(endpoint, device)


def _to_host(tensor: Tensor) -> Tensor:
    """A copy of ``tensor`` in the host's memory, of its own also where it lies there already."""
    return tensor.to("cpu", copy=True)


def _on_host(work: Collective) -> Collective:
    """The same collective of tensors in the host's memory."""
    own, given = _to_host(work.own), _to_host(work.given)
    full = own if work.full is work.own else _to_host(work.full)
    return replace(work, own=own, full=full, given=given)


def _land_result(staged: Collective, work: Collective, me: int) -> None:
    if work.name != "reduce" or me == work.src:
        work.result.copy_(staged.result)
    work.cost = staged.cost
