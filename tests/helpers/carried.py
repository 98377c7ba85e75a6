"""The numbers that programs by chance carry, of every type and layout: a seed tells them to all ranks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ddl_lab.node.reduction import REDUCED

LAYOUTS = ("flat", "columns", "every other", "0-d")


def content(dtype: torch.dtype, size: int, seed: int) -> Tensor:
    """Numbers from 1 to 2 (whole ones to 20), whose sum's last bits depend on the order of adding."""
    made = torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if dtype.is_complex:
        return torch.complex(1 + made, 1 + made.flip(0)).to(dtype)
    whole = not dtype.is_floating_point
    return ((20 * made).floor() if whole else 1 + made).to(dtype)


def laid(kind: dict[str, Any], seed: int) -> Tensor:
    """A tensor of this kind: the content of ``seed`` in the order of its indices, whatever its memory's."""
    size, layout = kind["size"], kind["layout"]
    flat = content(kind["dtype"], size, seed)
    if layout == "every other":
        return torch.empty(2 * size, dtype=flat.dtype)[::2].copy_(flat)
    if layout == "columns" and size and size % 2 == 0:
        return flat.view(-1, 2).T.contiguous().T
    return flat.view(()) if layout == "0-d" else flat


def bits(tensor: Tensor) -> Tensor:
    """The bytes of its numbers in the order of its indices: uint8 (n,)."""
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor).view(-1).view(torch.uint8)


def same(one: Tensor, other: Tensor, exact: bool) -> bool:
    """Whether two tensors agree: to the bit, or as far as another order of adding lets them."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if torch.equal(bits(one), bits(other)):
        return True
    adds = one.dtype in REDUCED["mean"] or one.dtype.is_complex
    tolerance = 8 * torch.finfo(one.dtype).eps if adds and not exact else 0.0
    wide = torch.complex128 if one.dtype.is_complex else torch.float64
    return bool(torch.allclose(one.to(wide), other.to(wide), rtol=tolerance, atol=0)) if tolerance else False


def reduced(parts: Sequence[Tensor], op: str) -> Tensor:
    """``parts`` added, or compared, in their order."""
    combine: Callable[..., Tensor] = {"max": torch.maximum, "min": torch.minimum}.get(op, torch.add)
    total = parts[0].clone()
    for part in parts[1:]:
        total = combine(total, part)
    return total / len(parts) if op == "mean" else total
