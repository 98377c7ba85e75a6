"""What a node's calls take: each refusal names the call, the rank, the value, the range and the mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..travel.shared import SharedTensor
from .port import MAX_TAG, OPS


class Caller(Protocol):
    """The node whose call is checked."""

    @property
    def rank(self) -> int: ...
    @property
    def world_size(self) -> int: ...
    @property
    def device(self) -> torch.device: ...


def rank_in_group(node: Caller, call: str, rank: Any) -> int:
    """``rank``, if it is one of the group's."""
    last = node.world_size - 1
    if not isinstance(rank, int) or isinstance(rank, bool) or not 0 <= rank <= last:
        raise ValueError(f"{call} on rank {node.rank}: ranks here are whole numbers 0 to {last}.")
    return rank


def peer_in_group(node: Caller, call: str, rank: Any) -> int:
    """``rank``, if it is another node of the group."""
    if rank_in_group(node, call, rank) == node.rank:
        raise ValueError(f"{call} on rank {node.rank} names the node itself: name another rank.")
    return int(rank)


def members(node: Caller, ranks: Sequence[int]) -> list[int]:
    """``ranks`` as a list that names each rank once, this node's among them."""
    listed = list(ranks)
    for rank in listed:
        rank_in_group(node, f"group({listed}) names {rank!r}", rank)
    if not listed or len(set(listed)) != len(listed):
        raise ValueError(f"group({listed}): name each of its ranks once, and at least one.")
    if node.rank not in listed:
        raise ValueError(f"group({listed}): rank {node.rank} calls it but is no member of it.")
    return listed


def checked_tag(name: str, tag: Any) -> int:
    """``tag``, if it is one."""
    if not isinstance(tag, int) or isinstance(tag, bool) or not 0 <= tag <= MAX_TAG:
        raise ValueError(f"node.{name}(tag={tag!r}): a tag is a whole number from 0 to {MAX_TAG}.")
    return tag


def check_op(name: str, op: Any, tensor: Tensor) -> None:
    """Refuse an unknown reduction, and means of whole numbers."""
    if op not in OPS:
        raise ValueError(f"node.{name}(op={op!r}): op is one of {', '.join(OPS)}.")
    if op == "mean" and not tensor.is_floating_point():
        raise ValueError(f"node.{name}(op='mean') takes floating-point tensors; it got {tensor.dtype}.")


def check_unit(given: dict[str, float | None]) -> tuple[str, float]:
    """The one unit of a compute span that is given, and its amount."""
    told = {unit: amount for unit, amount in given.items() if amount is not None}
    if len(told) != 1:
        names = ", ".join(told) or "none"
        raise ValueError(f"node.compute takes one of samples, flops, seconds; it got {names}.")
    ((unit, amount),) = told.items()
    if not 0 <= amount < float("inf"):
        raise ValueError(f"node.compute({unit}={amount!r}): it takes a number from 0 up.")
    return unit, float(amount)


def readable(node: Caller, name: str, tensor: Any) -> Tensor:
    """``tensor`` as a flat contiguous one (a view where it can be), outside autograd."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"node.{name} takes a torch.Tensor; it got a {type(tensor).__name__}.")
    if tensor.layout != torch.strided:
        raise ValueError(f"node.{name} takes dense tensors; it got {tensor.layout}: use to_dense().")
    if tensor.device != node.device and tensor.device.type != node.device.type:
        raise ValueError(
            f"node.{name} on rank {node.rank} got a tensor on {tensor.device}, and the node is on "
            f"{node.device}: move it with .to(node.device)."
        )
    if tensor.dim() == 1 and tensor.is_contiguous() and not tensor.requires_grad:
        return tensor  # it is so already: most messages, and a simulation sends very many
    return tensor.detach().contiguous().view(-1)


def writable(node: Caller, name: str, tensor: Any) -> Tensor:
    """As ``readable``, for a tensor that the call changes in place."""
    if isinstance(tensor, SharedTensor):
        raise ValueError(f"node.{name} writes into its tensor, and a data set is read-only: clone it.")
    if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
        raise ValueError(
            f"node.{name} writes into its tensor, and this one is part of an autograd graph that "
            "would not know: pass tensor.detach()."
        )
    flat = readable(node, name, tensor)
    # one that is not contiguous was copied, and the copy must fit back
    if flat is not tensor and not tensor.is_contiguous() and _overlaps(tensor):
        raise ValueError(
            f"node.{name} writes into its tensor, and some of this one's elements share memory: "
            "give a contiguous tensor, such as tensor.contiguous()."
        )
    return flat


def _overlaps(tensor: Tensor) -> bool:
    """Whether it is expanded: one element in memory stands for several."""
    return any(s == 0 and size > 1 for s, size in zip(tensor.stride(), tensor.shape, strict=True))


def write_back(tensor: Tensor, flat: Tensor) -> None:
    """Copy ``flat`` into a tensor of which it could not be a view; autograd learns that it has changed."""
    mark_changed(flat)
    if flat is not tensor and not tensor.is_contiguous():
        tensor.detach().copy_(flat.view(tensor.shape))


def mark_changed(tensor: Tensor) -> None:
    """Let a backward pass that needs the old values fail, as after torch's own in-place operations."""
    if not tensor.is_inference():
        torch.autograd.graph.increment_version(tensor)


def chunked(node: Caller, name: str, whole: Any, own: Tensor) -> tuple[Tensor, tuple[int, ...] | None]:
    """The flat concatenation of all chunks and, of a list, their sizes in elements; ``own`` must fit."""
    n = node.world_size
    if isinstance(whole, Tensor):
        full, chunks = readable(node, name, whole), None
        fits = whole.numel() == n * own.numel()
        found = f"{whole.numel()} elements, and {n} ranks with {own.numel()} each"
        found += f" make {n * own.numel()}"
    else:
        parts = [readable(node, name, part) for part in whole]
        full, chunks = torch.cat(parts) if parts else own, tuple(p.numel() for p in parts)
        fits = len(parts) == n and chunks[node.rank] == own.numel()
        found = f"a list of sizes {chunks} for {n} ranks"
        found += f", and {own.numel()} of rank {node.rank}'s own"
    if not fits or full.dtype != own.dtype:
        types = "" if full.dtype == own.dtype else f" ({full.dtype} and {own.dtype})"
        raise ValueError(f"node.{name} on rank {node.rank} got {found}{types}: make them fit.")
    return full, chunks
