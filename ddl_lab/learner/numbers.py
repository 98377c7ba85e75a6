"""Numbers as a learner types them, and how they are shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

PLAIN = r"(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
TERM = re.compile(rf"([-+]?)\s*(?:(ln|sqrt|√)\s*(?:\(\s*({PLAIN})\s*\)|({PLAIN}))|({PLAIN}))")
SIGNS = re.compile(r"\s*(\*\*|\^|/|\*|·|×|(?=ln|sqrt|√))\s*")
INFINITE = re.compile(r"([-+]?)\s*(?:inf|infinity|infinite|∞)")
FUNCTIONS: dict[str, Callable[[float], float]] = {"ln": math.log, "sqrt": math.sqrt, "√": math.sqrt}


def number(typed: float | str, unit: str = "") -> float:
    """The number in ``typed``: "1e-3", "12 %", "1/3", "2^10", "ln 2", "inf", also with ``unit`` behind it.

    A percentage counts as a hundredth unless the unit is "%". Raises ``ValueError`` with a sentence
    for what is no number.
    """
    text = str(typed).strip().replace("−", "-").replace("×10^", "e").replace("·10^", "e")
    bare = text.removesuffix(unit).rstrip() if unit else text
    percent = unit != "%" and bare.endswith("%")
    value = _value(bare.removesuffix("%").rstrip().lower())
    if value is None:
        comma = " Write a point for the decimals, as in 0.5." if "," in text else ""
        raise ValueError(f"{text!r} is no number here: type one such as 12, 0.05, 1e-3, 1/3 or ln 2.{comma}")
    return value / 100 if percent else value


def kept(value: object) -> float | None:
    """A number as the learner's file has it, infinite or nan too; None for what isn't one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _value(text: str) -> float | None:
    """Infinity, one term, or a fraction, product or power of two; None for anything else."""
    if found := INFINITE.fullmatch(text):
        return -math.inf if found[1] == "-" else math.inf
    try:
        value = _of_terms(text)
    except (ArithmeticError, ValueError):
        return None
    return value if value is not None and math.isfinite(value) else None


def _of_terms(text: str) -> float | None:
    first = TERM.match(text)
    if first is None or first.end() == len(text):
        return first and _term(first)
    sign = SIGNS.match(text, first.end())
    second = TERM.fullmatch(text, sign.end()) if sign else None
    if sign is None or second is None:
        return None
    one, other = _term(first), _term(second)
    if sign[1] == "/":
        return one / other
    return math.pow(one, other) if sign[1] in ("^", "**") else one * other


def _term(found: re.Match[str]) -> float:
    sign, function, inside, behind, plain = found.groups()
    value = float(plain) if function is None else FUNCTIONS[function](float(inside or behind))
    return -value if sign == "-" else value


def amount(value: float, unit: str = "") -> str:
    """Four digits and the unit: "0.03125 s", "12 %"."""
    return f"{value:.4g} {unit}".rstrip()
