"""Lists of parts that a call takes, one for each rank, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..counted import counted
from .arguments import Caller, whole, write_back
from .sizes import Sizes


def one_a_rank(node: Caller, name: str, argument: str, given: Any) -> dict[int, Any]:
    """``given``, a list of one tensor for each rank, by rank."""
    if not isinstance(given, list | tuple):
        kind = type(given).__name__
        raise TypeError(f"node.{name} takes a list of tensors as {argument}; it got a {kind}.")
    if len(given) != node.world_size:
        raise ValueError(
            f"node.{name} on rank {node.rank} got {counted(len(given), 'tensor')} in {argument} for "
            f"{counted(node.world_size, 'rank')}: give one a rank, in rank order."
        )
    return dict(enumerate(given))


def at_the_root(
    node: Caller, name: str, argument: str, root_name: str, root: int, given: Any
) -> dict[int, Any]:
    """The root's list, by rank; the other ranks have none."""
    where = f"node.{name}({root_name}={root}) on rank {node.rank}"
    if node.rank == root and given is None:
        raise ValueError(
            f"{where} got no {argument}: this rank needs one, a list of {counted(node.world_size, 'tensor')}."
        )
    if node.rank != root and given is not None:
        raise ValueError(f"{where} got a {argument}, and only rank {root} gives one: leave it out here.")
    return {} if given is None else one_a_rank(node, name, argument, given)


def split_sizes(node: Caller, argument: str, sizes: Any, tensor: Tensor) -> list[int]:
    """How many elements of ``tensor`` belong to each rank: ``sizes`` rows, or None: equally many."""
    n, rows = node.world_size, len(tensor) if tensor.dim() else 0
    where = f"node.all_to_all_single on rank {node.rank}"
    if sizes is None:
        if not tensor.dim() or rows % n:
            raise ValueError(
                f"{where}: a tensor of shape {tuple(tensor.shape)} can't be cut into {n} equal parts along "
                f"its first dimension: say in {argument} how many rows belong to each rank."
            )
        return [tensor.numel() // n] * n
    counts = [whole(size) for size in sizes]
    if len(counts) != n or min(counts, default=0) < 0 or sum(counts) != rows:
        raise ValueError(
            f"{where} got {argument}={list(sizes)}: give {n} whole numbers that make {rows}, the rows of its "
            "tensor."
        )
    return [count * tensor[:1].numel() for count in counts]


def fit(node: Caller, name: str, flats: Sequence[Tensor], sizes: Sizes) -> None:
    """Refuse tensors of several types, and a part for this rank itself that has no room of its size."""
    types = sorted({str(flat.dtype) for flat in flats})
    if len(types) > 1:
        told = " and ".join(types)
        raise ValueError(f"node.{name} on rank {node.rank} got tensors of {told}: make them one dtype.")
    me = node.rank
    if me in sizes.gives and me in sizes.takes and sizes.gives[me] != sizes.takes[me]:
        raise ValueError(
            f"node.{name} on rank {me} gives itself {counted(sizes.gives[me], 'element')} and has room for "
            f"{sizes.takes[me]}: make them fit."
        )


def spread(full: Tensor, outputs: Sequence[Tensor], flats: Sequence[Tensor]) -> None:
    """Copy ``full`` into ``outputs``, one after another; ``flats`` are these as ``writable`` gave them."""
    pieces = full.split([flat.numel() for flat in flats])
    for part, flat, piece in zip(outputs, flats, pieces, strict=True):
        if flat is not full:
            flat.copy_(piece)
        write_back(part, flat)
