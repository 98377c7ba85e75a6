"""Which types of numbers travel, which can be reduced, and how: the same in every engine.

All that torch copies travels, as bytes. What torch itself can't add (uint16, the float8 kinds) or put in
order (complex numbers) is refused before an engine sees it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

OPS = ("sum", "mean", "max", "min")

_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_COMPLEX = (torch.complex64, torch.complex128, torch.complex32)
_TRAVEL_ONLY = (
    torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2,
    torch.float8_e5m2fnuz, torch.float8_e8m0fnu,
)  # fmt: skip
TRAVELS = (*_FLOATS, *_INTEGERS, torch.bool, *_COMPLEX, *_TRAVEL_ONLY)
REDUCED = {
    "sum": frozenset((*_FLOATS, *_INTEGERS, torch.bool, *_COMPLEX)),
    "mean": frozenset(_FLOATS),
    "max": frozenset((*_FLOATS, *_INTEGERS, torch.bool)),
    "min": frozenset((*_FLOATS, *_INTEGERS, torch.bool)),
}
_COMBINE: dict[str, Any] = {
    "sum": torch.add,  # of booleans: or
    "mean": torch.add,
    "max": torch.maximum,  # NaN where any part has one
    "min": torch.minimum,
}


def refusal(op: str, dtype: torch.dtype) -> str:
    """Why ``op`` is none for tensors of ``dtype``, and what to try; "" where it is one."""
    if dtype in REDUCED[op]:
        return ""
    if op == "mean" and dtype not in _TRAVEL_ONLY:
        return f"takes floating-point tensors; it got {dtype}."
    if dtype.is_complex:
        return f"takes numbers that have an order; it got {dtype}: reduce abs(tensor), or its parts."
    wider = "torch.float32" if dtype.is_floating_point else "torch.int64"
    return f"got {dtype}, with which torch itself does not reckon: convert it first, with .to({wider})."


def reduce_in_rank_order(out: Tensor, parts: Sequence[Tensor], op: str) -> Tensor:
    """``out`` = parts[0] op parts[1] op …, in this order on every rank: the same bits everywhere.

    ``out`` must share no memory with ``parts[2:]``. Warns where the sum does not fit the type.
    """
    if len(parts) == 1:
        return out.copy_(parts[0])
    wide = _wide_sum(parts, op) if can_overflow(op, out.dtype) else None
    combine = _COMBINE[op]
    combine(parts[0], parts[1], out=out)
    for part in parts[2:]:
        combine(out, part, out=out)
    if wide is not None:
        warn_of_overflow(out, wide, op, len(parts))
    return divided(out, len(parts)) if op == "mean" else out


def divided(out: Tensor, n: int) -> Tensor:
    """``out`` / ``n``, in place; times 1 / n where that is exact, which is several times as fast."""
    exact = n & (n - 1) == 0 and out.is_floating_point()
    return out.mul_(1 / n) if exact else out.div_(n)


# Sums that don't fit. A float16 sum of inf shows what happened; a wrapped integer and a mean of inf don't.


def can_overflow(op: str, dtype: torch.dtype) -> bool:
    """Whether numbers of ``dtype`` can be fit and their ``op`` not."""
    return (op == "sum" and dtype in _INTEGERS) or (op == "mean" and dtype == torch.float16)


def largest(part: Tensor) -> float:
    """The largest absolute value; inf where there is a NaN."""
    if not part.numel():
        return 0.0
    bound = float(max(map(abs, (float(end) for end in torch.aminmax(part)))))
    return bound if bound == bound else float("inf")


def fits(bound: float, dtype: torch.dtype) -> bool:
    """Whether a sum of absolute values up to ``bound`` stays in ``dtype``."""
    info = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    return bound < info.max


def _wide_sum(parts: Sequence[Tensor], op: str) -> Tensor | None:
    """The sum in float64, or None where no sum of these can overflow."""
    if fits(sum(map(largest, parts)), parts[0].dtype):
        return None
    return torch.stack([part.double() for part in parts]).sum(0)


def warn_of_overflow(out: Tensor, wide: Tensor, op: str, n: int) -> None:
    """Warn where ``out``, a sum of ``n`` ranks, is not ``wide``, the same sum in float64."""
    dtype = out.dtype
    if dtype.is_floating_point:
        lost = (out.isinf() & wide.isfinite()).any()
    else:  # it wraps by a multiple of 2^bits, from which float64 is far
        lost = ((wide - out.double()).abs() > 2.0 ** (torch.iinfo(dtype).bits - 1)).any()
    if lost:
        happens = "the mean is inf" if op == "mean" else "it wraps around"
        wider = "torch.float32" if dtype.is_floating_point else "torch.int64"
        wider = "torch.float64" if dtype == torch.int64 else wider
        warnings.warn(
            f"op={op!r}: the sum over {n} ranks passes the largest {str(dtype)[6:]}, so {happens}. "
            f"Convert before, such as tensor.to({wider}).",
            stacklevel=1,
        )
