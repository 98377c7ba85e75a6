"""A node's collectives by a process group of torch.distributed, whichever library is behind it."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from torch import Tensor

from ...node.port import Collective

_OPS = {
    "sum": dist.ReduceOp.SUM,
    "mean": dist.ReduceOp.SUM,
    "max": dist.ReduceOp.MAX,
    "min": dist.ReduceOp.MIN,
}


def move(network: Any, me: int, work: Collective) -> None:
    """Do ``work`` as rank ``me`` of the process group ``network``; its ranks have agreed on the call.

    Chunks may be of unequal size, which the libraries' own scatter and gather don't take: reduce-scatter
    keeps its chunk of an all-reduce, all-gather is a broadcast from each rank.
    """
    if work.name == "all_reduce":
        _reduce(network, work.own, work.op)
    elif work.name == "broadcast":
        _share(network, work.own, work.src)
    elif work.name == "reduce_scatter":
        whole = work.full.clone()
        _reduce(network, whole, work.op)
        work.own.copy_(whole.split(list(work.chunks))[me])
    elif work.name == "all_gather":
        for src, target in enumerate(work.full.split(list(work.chunks))):
            if src == me:
                target.copy_(work.own)
            _share(network, target, src)


def _reduce(network: Any, flat: Tensor, op: str) -> None:
    if flat.numel():
        options = dist.AllreduceOptions()
        options.reduceOp = _OPS[op]  # type: ignore[assignment]
        network.allreduce([flat], options).wait()
    if op == "mean":
        flat.div_(network.size())


def _share(network: Any, flat: Tensor, src: int) -> None:
    if flat.numel():
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = src, 0
        network.broadcast([flat], options).wait()
