"""A node's collectives by a process group of torch.distributed, whichever library is behind it.

The libraries reduce few types, and their max and min lose a NaN. What they can't do as torch does travels as
bytes, and each rank reduces it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ...node.port import Collective
from ...node.reduction import can_overflow, divided, fits, largest, reduce_in_rank_order, warn_of_overflow

_OPS = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN}
_INTEGERS = {torch.int64, torch.int32, torch.int8, torch.uint8}
_ADDED = _INTEGERS | {torch.float32, torch.float64, torch.float16, torch.bfloat16}  # by gloo and NCCL
MOVED = ("all_reduce", "broadcast", "reduce_scatter", "all_gather", "barrier")  # by ``move``
_BLOCK = 2**18  # elements of all ranks at a time


def move(network: Any, me: int, work: Collective) -> None:
    """Do ``work`` as rank ``me`` of the process group ``network``; its ranks have agreed on the call.

    Chunks may be of unequal size, which the libraries' own scatter and gather don't take: reduce-scatter
    keeps its chunk of an all-reduce, all-gather is a broadcast from each rank.
    """
    if work.name == "all_reduce":
        _reduce(network, me, work.own, work.op)
    elif work.name == "broadcast":
        _share(network, work.own, work.src)
    elif work.name == "reduce_scatter":
        whole = work.full.clone()
        _reduce(network, me, whole, work.op)
        work.own.copy_(whole.split(list(work.chunks))[me])
    elif work.name == "all_gather":
        for src, target in enumerate(work.full.split(list(work.chunks))):
            if src == me:
                target.copy_(work.own)
            _share(network, target, src)


def _reduce(network: Any, me: int, flat: Tensor, op: str) -> None:
    """``flat`` becomes the reduction over all ranks."""
    real = torch.view_as_real(flat) if flat.dtype in (torch.complex64, torch.complex128) else flat
    if real.dtype in _ADDED and op in ("sum", "mean"):
        wide = _wide_sum(network, flat, op)
        _all_reduce(network, real, "sum")
        if wide is not None:
            warn_of_overflow(flat, wide, op, network.size())
        if op == "mean":
            divided(flat, network.size())
    elif flat.dtype in _INTEGERS:
        _all_reduce(network, flat, op)
    else:
        for block in flat.split(_BLOCK):
            _reduce_here(network, me, block, op)


def _wide_sum(network: Any, flat: Tensor, op: str) -> Tensor | None:
    """The sum in float64 over all ranks, or None where no sum of these numbers can overflow."""
    if not can_overflow(op, flat.dtype):
        return None
    bound = torch.tensor([largest(flat)], dtype=torch.float64, device=flat.device)
    _all_reduce(network, bound, "max")
    if fits(network.size() * bound.item(), flat.dtype):
        return None
    wide = flat.double()
    _all_reduce(network, wide, "sum")
    return wide


def _reduce_here(network: Any, me: int, block: Tensor, op: str) -> None:
    """Every rank gets the blocks of all and reduces them."""
    parts = [torch.empty_like(block) for _ in range(network.size())]
    parts[me].copy_(block)
    for src, part in enumerate(parts):
        _share(network, part, src)
    reduce_in_rank_order(block, parts, op)


def _all_reduce(network: Any, flat: Tensor, op: str) -> None:
    if flat.numel():
        options = dist.AllreduceOptions()
        options.reduceOp = _OPS[op]  # type: ignore[assignment]
        network.allreduce([flat], options).wait()


def _share(network: Any, flat: Tensor, src: int) -> None:
    """``flat`` becomes rank ``src``'s; as bytes, for these every library takes."""
    if flat.numel():
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = src, 0
        network.broadcast([flat.view(torch.uint8)], options).wait()
