"""What an engine supplies for one node: a clock, and a way to move flat tensors between ranks."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from ..cluster.work import Work
from .sizes import Sizes
from .snapshot import Snapshot

MAX_TAG = 2**31 - 1
MOST_GROUPS = 64  # of one rank, with collectives


@lru_cache(maxsize=256)
def _group_key(ranks: tuple[int, ...]) -> int:
    return zlib.crc32(repr(ranks).encode())


def _shortened(ranks: tuple[int, ...]) -> tuple[int | str, ...]:
    """Ranks at equal distances by the first two and the last: they tell all the others."""
    step = ranks[1] - ranks[0] if len(ranks) > 1 else 1
    even = len(ranks) > 4 and ranks == tuple(range(ranks[0], ranks[-1] + step, step))
    return (*ranks[:2], "…", ranks[-1]) if even else ranks


class Group:
    """A set of ranks that communicate apart from others. ``ranks`` are those of the whole run."""

    __slots__ = ("_others", "_words", "calls", "key", "me", "ranks")

    def __init__(self, ranks: tuple[int, ...], me: int) -> None:
        self.ranks = ranks
        self.me = me  # this node's rank in the group
        self.key = _group_key(ranks)  # the same on every member
        self.calls = 0  # collectives entered so far
        self._others: tuple[int, ...] | None = None
        self._words: str | None = None

    def others(self) -> tuple[int, ...]:
        """The ranks of the run of all other members."""
        if self._others is None:
            self._others = self.ranks[: self.me] + self.ranks[self.me + 1 :]
        return self._others

    def words(self, world_size: int) -> str:
        """The group as its spans are labelled: "ranks 0, 2, 5"; "" for all of the run in their order."""
        if self._words is None:
            all_in_order = self.ranks == tuple(range(world_size))
            self._words = "" if all_in_order else f"ranks {', '.join(map(str, _shortened(self.ranks)))}"
        return self._words

    def rank_of(self, rank: int) -> int:
        """The rank in this group of the run's ``rank``."""
        same = rank < len(self.ranks) and self.ranks[rank] == rank  # as in the group of all
        return rank if same else self.ranks.index(rank)


class Ticket:
    """A message under way. The engine fills in the times and sets ``done``."""

    __slots__ = (
        "call", "done", "ended", "moved", "needs", "peer", "posted", "refused", "snapshot", "started",
    )  # fmt: skip

    def __init__(self, call: str, needs: tuple[int, ...], posted: float) -> None:
        self.call = call  # as the worker wrote it: for reports
        self.needs = needs  # ranks of the run of which one must act
        self.posted = posted
        self.started = self.moved = self.ended = posted  # data begins to move, has moved, was taken
        self.peer = needs[0]
        self.done = False
        self.snapshot: Snapshot | None = None  # of an isend: the engine's, kept until it is waited for
        self.refused: ValueError | None = None  # simulate: what wait and poll raise once done


@dataclass(slots=True)
class Collective:
    """One rank's part in a collective. Tensors are flat, contiguous and of one dtype."""

    name: str
    op: str
    src: int  # rank in the group: where it comes from, or where it goes
    own: Tensor  # this rank's chunk: output of reduce_scatter, input of all_gather; else the tensor
    full: Tensor  # the concatenation of all chunks; for all_reduce and broadcast the tensor itself
    chunks: tuple[int, ...]  # elements of each rank's chunk
    call: str  # with dtype and shape: equal on all ranks, or it is a mismatch
    given: Tensor  # what this rank gives: own or full, and a copy of it where the node goes on meanwhile
    nth: int  # that it is the group's first, second, … by the order of the calls
    cost: Work  # with ``sizes``: the engine's to find, when all ranks have told theirs
    sizes: Sizes | None = (
        None  # gather, scatter, all_to_all: ``own`` has what it gives, ``full`` what it takes
    )

    @property
    def result(self) -> Tensor:
        """What it writes."""
        return self.full if self.name == "all_gather" or self.sizes else self.own


class Port(Protocol):
    """What an engine does for one node. Ranks are those of the whole run; times are its clock's."""

    @property
    def rank(self) -> int:
        """This node's rank in the run."""

    @property
    def device(self) -> torch.device:
        """Where this node's tensors live."""

    @property
    def algorithm(self) -> str:
        """By whose formula the last collective is counted."""

    @property
    def chooses(self) -> bool:
        """Whether each collective has an algorithm of its own: then its span says which."""

    @property
    def modelled(self) -> bool:
        """Whether compute spans take a cluster's time: then what is called inside one is dated at its end."""

    def now(self) -> float:
        """Seconds on this node's clock."""

    def computes(self, unit: str, amount: float) -> float:
        """Begin a compute span of ``amount`` samples, flops or seconds; returns when it begins.

        A node that its cluster lets die within that span does not return: nothing of it is done.
        """

    def computed(self, started: float) -> float:
        """End the compute span that began at ``started``; returns its end."""

    def send(self, group: Group, tensor: Tensor, dst: int, tag: int, ticket: Ticket, snapshot: bool) -> None:
        """Post a message; with ``snapshot`` what it holds now travels, and the ticket keeps it."""

    def recv(self, group: Group, tensor: Tensor, tag: int, ticket: Ticket) -> None:
        """Post a receive from any of ``ticket.needs``."""

    def wait(self, ticket: Ticket) -> None:
        """Block until the ticket is done."""

    def poll(self, ticket: Ticket) -> bool:
        """Make what progress is possible without blocking; whether the ticket is done."""

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        """Do it; returns when it began, the last rank being there, and when it ended here."""

    def copied(self, tensor: Tensor) -> Tensor:
        """What ``tensor``, flat, holds now, for ``start``: where it lies best to be handed over."""

    def start(self, group: Group, work: Collective) -> Any:
        """Begin it and return at once, and let no other node act: what ``finish`` and ``look`` take."""

    def finish(self, posted: Any) -> tuple[float, float]:
        """Block until what was started is over here, its result in the tensors; returns as ``collective``."""

    def look(self, posted: Any) -> bool:
        """Make what progress is possible without blocking; whether ``finish`` would not block."""


def misfit(
    call: str, rank: int, given: Tensor, sender: int, dtype: torch.dtype, count: int
) -> ValueError | None:
    """What ``rank`` is told where the tensor it gave to ``call`` does not fit the message, or None."""
    if given.numel() == count and given.dtype == dtype:
        return None
    return ValueError(
        f"{call} on rank {rank} expected {_described(given.dtype, given.numel())}; "
        f"rank {sender} sent {_described(dtype, count)}."
    )


def _described(dtype: torch.dtype, count: int) -> str:
    return f"{str(dtype)[6:]} with {count} element{'s' * (count != 1)}"
