"""The mean of all ranks' gradients in MPI: in place, and as the array that it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...counted import counted
from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes
from ..machine import Exercise

COUNT = 50


def _mean_gradient(MPI, ranks, gradient):  # type: ignore[no-untyped-def]
    ranks.Allreduce(MPI.IN_PLACE, gradient, op=MPI.SUM)
    gradient /= ranks.Get_size()


class StandInMPI:
    """The names of ``mpi4py.MPI`` that this takes."""

    IN_PLACE = "in place"
    SUM, MAX, MIN, PROD = "sum", "max", "min", "product"
    FLOAT = "float"


class StandIn:
    """A communicator over simulated nodes: mpi4py's calls, with MPI's own refusals."""

    def __init__(self, node: Node) -> None:
        self._node, self.calls = node, 0
        self.rank, self.size = node.rank, node.world_size

    def Get_rank(self) -> int:
        """This rank."""
        return self.rank

    def Get_size(self) -> int:
        """How many ranks there are."""
        return self.size

    def Allreduce(self, sendbuf: Any, recvbuf: Any, op: str = "sum") -> None:
        """All ranks' arrays reduced into each one's ``recvbuf``."""
        sent, received = _array(sendbuf), _array(recvbuf)
        if received is None:
            raise Wrong("MPI.IN_PLACE stands first, for what is sent; what is received into is an array")
        if sent is None:
            sent = received
        elif (sent.dtype, sent.size) != (received.dtype, received.size):
            raise Wrong(
                f"mpi4py refuses to send {sent.size:,} numbers of {sent.dtype} and receive {received.size:,} "
                f"of {received.dtype}; np.empty_like makes an array of one kind with another"
            )
        elif np.shares_memory(sent, received):
            raise Wrong("MPI refuses one array as both: *buffers must not be aliased*. MPI.IN_PLACE sends it")
        self._reduce(sent, received, op)

    def Reduce(self, sendbuf: Any, recvbuf: Any, op: str = "sum", root: int = 0) -> None:
        """As ``Allreduce``, for ``root`` alone."""
        sent = _array(sendbuf)
        whole = np.copy(_array(recvbuf) if sent is None else sent)
        self._reduce(whole, whole, op)
        if self.rank == root:
            _array(recvbuf)[...] = whole

    def Bcast(self, buffer: Any, root: int = 0) -> None:
        """``root``'s array, everywhere."""
        self.calls += 1
        self._node.broadcast(torch.from_numpy(_array(buffer)), src=root)

    def allreduce(self, value: Any, op: str = "sum") -> Any:
        """The lower-case one: any object, pickled."""
        if isinstance(value, np.ndarray):
            raise Wrong(
                "allreduce with a small a pickles the array at every rank: Allreduce with a capital A sends "
                "it as it lies in memory"
            )
        box = np.array([value], np.float64)
        self._reduce(box, box, op)
        return box[0]

    def _reduce(self, sent: np.ndarray, received: np.ndarray, op: str) -> None:
        self.calls += 1
        if op not in ("sum", "max", "min"):
            raise Wrong(f"op is {op!r}: MPI.SUM is what a mean needs")
        box = torch.from_numpy(np.copy(sent))
        self._node.all_reduce(box, op=op)
        received[...] = box.numpy()


def _array(buffer: Any) -> Any:
    """The array of a buffer; None for MPI.IN_PLACE."""
    if isinstance(buffer, str) and buffer == StandInMPI.IN_PLACE:
        return None
    found = buffer[0] if isinstance(buffer, list | tuple) else buffer
    if not isinstance(found, np.ndarray):
        raise Wrong(f"a buffer is a {type(found).__name__}: with a capital letter, mpi4py takes arrays")
    return found


def _mine(rank: int) -> np.ndarray:
    return (np.arange(COUNT, dtype=np.float32) % 7 + 1) * np.float32(1 + rank) ** 2


def _worker(node: Node, answer: Answer) -> Any:
    ranks, gradient = StandIn(node), _mine(node.rank)
    returned = answer(StandInMPI, ranks, gradient)
    return torch.from_numpy(gradient), None if returned is None else np.array(returned), ranks.calls


def _check_mpi(answer: Answer) -> str:
    for nodes in (1, 2, 5):
        everyone = [_mine(rank) for rank in range(nodes)]
        mean = np.mean(everyone, axis=0)
        for rank, (got, returned, calls) in enumerate(on_nodes(_worker, nodes, answer).results):
            _check_mean(got.numpy(), returned, mean, everyone, rank)
            if calls > 1:
                raise Wrong(
                    f"the numbers are right, but rank {rank} makes {calls} calls: one Allreduce does it"
                )
    return "1, 2 and 5 ranks: the mean, in place, by one Allreduce"


def _check_mean(got: np.ndarray, returned: Any, mean: np.ndarray, everyone: list, rank: int) -> None:
    if np.allclose(got, mean, rtol=1e-5):
        return
    nodes, told = len(everyone), f"on {counted(len(everyone), 'rank')}, rank {rank}'s gradient"
    if returned is not None and np.shape(returned) == mean.shape and np.allclose(returned, mean, rtol=1e-5):
        raise Wrong(f"{told} stays as it was: you return the mean, and in place was asked")
    likely = {
        "is the sum of all ranks': divide by ranks.Get_size()": mean * nodes,
        "is still its own: what the others have hasn't come in": everyone[rank],
        "is the largest of each entry: MPI.SUM, then the mean": np.max(everyone, axis=0),
        "is its own divided by the number of ranks: add up all of them": everyone[rank] / nodes,
        "is divided by the number of ranks twice": mean / nodes,
    }
    for words, wrong in likely.items():
        if np.allclose(got, wrong, rtol=1e-5):
            raise Wrong(f"{told} {words}")
    raise Wrong(f"{told} begins with {got[:3]}, and the mean with {mean[:3]}")


mpi = Exercise(
    key="17.mpi",
    title="The mean in MPI",
    difficulty=1,
    minutes=6,
    reference=_mean_gradient,
    check=_check_mpi,
    hints=(
        "`ranks.Allreduce(send, receive, op=…)` takes arrays, and gives every rank the result.",
        "`MPI.IN_PLACE` as what is sent means: what is received into. MPI has a sum, and no mean.",
        "`ranks.Allreduce(MPI.IN_PLACE, gradient, op=MPI.SUM)`, then `gradient /= ranks.Get_size()`.",
    ),
)
