"""Numbers as a learner types them, how they are shown, and how near a prediction came."""

from __future__ import annotations

import math
import re

PLAIN = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"


def number(typed: float | str, unit: str = "") -> float:
    """The number in ``typed``: "1e-3", "12 %", "1/3", "2^10", also with ``unit`` behind it.

    A percentage counts as a hundredth unless the unit is "%". Raises ``ValueError`` with a sentence
    for what is no finite number.
    """
    text = str(typed).strip().replace("−", "-").replace("×10^", "e").replace("·10^", "e")
    bare = text.removesuffix(unit).rstrip() if unit else text
    percent = unit != "%" and bare.endswith("%")
    value = _value(bare.removesuffix("%").rstrip().lower())
    if value is None or not math.isfinite(value):
        comma = " Write a point for the decimals, as in 0.5." if "," in text else ""
        raise ValueError(f"{text!r} is no number here: type one such as 12, 0.05, 1e-3 or 1/3.{comma}")
    return value / 100 if percent else value


def _value(text: str) -> float | None:
    """A plain number, a fraction or a power of two plain numbers."""
    found = re.fullmatch(rf"({PLAIN})(?:\s*(/|\^|\*\*)\s*({PLAIN}))?", text)
    if found is None:
        return None
    first, sign, second = found.groups()
    try:
        if sign is None:
            return float(first)
        return float(first) / float(second) if sign == "/" else math.pow(float(first), float(second))
    except (ArithmeticError, ValueError):
        return None


def amount(value: float, unit: str = "") -> str:
    """Four digits and the unit: "0.03125 s", "12 %"."""
    return f"{value:.4g} {unit}".rstrip()


def verdict(predicted: float, measured: float) -> str:
    """How near ``predicted`` came, in a few words."""
    if predicted == measured:
        return "exact"
    if predicted == 0 or measured == 0 or not math.isfinite(measured):
        return "one of the two is zero or infinite, so no ratio tells how far apart they are"
    ratio = measured / predicted
    if ratio < 0:
        return "of the other sign: worth finding out why"
    factor = max(ratio, 1 / ratio)
    if factor <= 1.1:
        return "very near: within a tenth"
    if factor <= 2:
        return f"near: within a factor of {factor:.3g}"
    return f"off by a factor of {factor:.3g}: worth finding out why"
