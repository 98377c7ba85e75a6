"""What a widget's controls are made of: sliders, lists or names to choose from, True and False; buttons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

STEPS = 100  # of a slider whose step is not told, about
RENARD = (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)
WIDE = {"width": "34em"}
NARROW = {"width": "20em"}
NAMES = {"description_width": "11em"}


@dataclass(frozen=True)
class Slider:
    """A slider from ``low`` to ``high`` that begins at ``start``.

    ``step``: between two of its values; unless told, 1 between whole numbers and else about a
    hundredth of the way. ``log``: equal ways are equal factors, for what spans decades; ``step`` is
    then in decades, and unless told the values are 1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8 times
    powers of ten (Renard's series R10, ISO 3). ``label`` and ``unit`` name it.
    Raises ``ValueError`` for what is no such range.
    """

    low: float
    high: float
    start: float
    step: float | None = None
    label: str = ""
    unit: str = ""
    log: bool = False

    def __post_init__(self) -> None:
        told = f"Slider({self.low!r}, {self.high!r}, {self.start!r})"
        numbers = (self.low, self.high, self.start, 1 if self.step is None else self.step)
        if not all(isinstance(n, Real) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
            raise ValueError(f"{told}: low, high, start and step are finite numbers.")
        if not self.low <= self.start <= self.high or self.low == self.high:
            raise ValueError(f"{told}: low is below high, and start is one of them or between them.")
        if numbers[3] <= 0:
            raise ValueError(f"{told}: step={self.step!r} must be above 0.")
        if self.log and self.low <= 0:
            raise ValueError(f"{told} with log=True: low must be above 0, as in Slider(0.01, 10, 1).")

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        numbers = (self.low, self.high, self.start, 1 if self.step is None or self.log else self.step)
        return all(isinstance(number, int) for number in numbers)

    @property
    def width(self) -> float:
        """From one value to the next where it is not ``log``."""
        if self.step is not None:
            return self.step
        return 1 if self.whole else _rounded((self.high - self.low) / STEPS)

    @property
    def stops(self) -> tuple[float, ...]:
        """Its values where the page's own sliders, which count equal steps from ``low``, lack some."""
        if self.log:
            values = [self.low, *self._factors(), self.high]
        else:
            steps = (self.start - self.low) / self.width
            if abs(steps - round(steps)) < 1e-6:
                return ()
            count = math.floor((self.high - self.low) / self.width)
            values = [self.low + k * self.width for k in range(count + 1)]
        near = {round(v) if self.whole else float(f"{v:.12g}") for v in values if self.low <= v <= self.high}
        return tuple(sorted(near | {self.start}))

    def _factors(self) -> list[float]:
        if self.step is not None:
            count = math.floor(math.log10(self.high / self.low) / self.step)
            return [float(f"{self.low * 10 ** (k * self.step):.3g}") for k in range(count + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [float(f"{number}e{decade}") for decade in decades for number in RENARD]


def _rounded(width: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return min((power * k for k in (1, 2, 5, 10)), key=lambda near: abs(near - width))


@dataclass(frozen=True)
class Stops:
    """A slider that stops at these values only, in this order."""

    values: tuple[Any, ...]
    start: Any


class Control:
    """One control on the page: its widget, and the value that it stands at."""

    def __init__(self, name: str, asked: Any, label: str = "", tip: str = "") -> None:
        self.name, self._asked = name, asked
        self.label = (asked.label if isinstance(asked, Slider) else "") or label or name
        self.unit = asked.unit if isinstance(asked, Slider) else ""
        self.widget = _widget(asked)
        self.widget.description = self.label + (f" ({self.unit})" if self.unit else "")
        self.widget.tooltip = tip or f"{self.widget.description}: arrow keys move it"
        self.start = self.widget.value

    @property
    def value(self) -> Any:
        """What the function is given."""
        found = self.widget.value
        if isinstance(self._asked, list | tuple | Mapping):
            return _entries(self._asked)[found]
        if not isinstance(self._asked, Slider):
            return found
        return round(found) if self._asked.whole else float(f"{found:.12g}")

    @property
    def text(self) -> str:
        """The value as a reader sees it; entries of a list that read alike, as lambdas do, by their place."""
        if isinstance(self._asked, Mapping):
            return str(list(self._asked)[self.widget.value])
        value = self.value
        told = f"{value:.6g}" if isinstance(value, float) else _text(value)
        told += f" {self.unit}" if self.unit else ""
        if not isinstance(self._asked, list | tuple):
            return told
        alike = [_text(entry) for entry in self._asked].count(_text(value)) > 1
        return told + f" ({self.widget.value + 1})" * alike

    @property
    def neighbours(self) -> list[int]:
        """Of whole numbers, in order, those to compare the start with: its stops, or half and double."""
        if isinstance(self._asked, Stops):
            return list(self._asked.values)
        low, high = round(self._asked.low), round(self._asked.high)
        return sorted({low, max(low, self.start // 2), min(high, 2 * self.start), high})

    def reset(self) -> None:
        """Back to where it began."""
        self.widget.value = self.start


def _widget(asked: Any) -> Any:
    import ipywidgets

    look: dict[str, Any] = {"layout": WIDE, "style": NAMES}
    if isinstance(asked, Slider):
        return _slider(asked, look)
    if isinstance(asked, Stops):
        return ipywidgets.SelectionSlider(options=asked.values, value=asked.start, **look)
    if isinstance(asked, bool):
        return ipywidgets.Checkbox(value=asked, indent=True, **look)
    look["layout"] = NARROW
    names = list(asked) if isinstance(asked, Mapping) else map(_text, asked)
    options = [(name, place) for place, name in enumerate(names)]
    return ipywidgets.Dropdown(options=options, value=0, **look)


def _slider(asked: Slider, look: dict[str, Any]) -> Any:
    import ipywidgets

    if asked.stops:
        options = [(f"{value:.6g}", value) for value in asked.stops]
        return ipywidgets.SelectionSlider(options=options, value=asked.start, **look)
    limits = {"min": asked.low, "max": asked.high, "value": asked.start, "step": asked.width}
    if asked.whole:
        return ipywidgets.IntSlider(**limits, **look)
    digits = max(_digits(asked.width), _digits(asked.low))
    return ipywidgets.FloatSlider(**limits, readout_format=f".{digits}f", **look)


def _digits(number: float) -> int:
    """How many it has after the point."""
    exponent = Decimal(f"{number:.12g}").normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _entries(asked: Any) -> list[Any]:
    """What a list, or names to choose from, offer."""
    return list(asked.values()) if isinstance(asked, Mapping) else list(asked)


def _text(value: Any) -> str:
    return str(getattr(value, "__name__", value))


def button(name: str, tip: str, act: Callable[[], None]) -> Any:
    """A button that does ``act`` when it is clicked."""
    import ipywidgets

    made = ipywidgets.Button(description=name, tooltip=tip, layout={"width": "auto"})
    made.on_click(lambda _: act())
    return made


def check_controls(call: str, asked: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` for what is no control, ``ValueError`` for an empty list."""
    for name, value in asked.items():
        if not isinstance(value, Slider | bool | list | tuple | Mapping):
            raise TypeError(
                f"{call}({name}={value!r:.40}): a control is lab.Slider(low, high, start), a list to choose "
                "from, {'name': value, …}, or True or False."
            )
        if isinstance(value, Sequence | Mapping) and not value:
            raise ValueError(f"{call}({name}={value!r}): a list to choose from needs one entry at least.")
        if isinstance(value, Mapping) and not all(isinstance(key, str) and key for key in value):
            raise TypeError(
                f"{call}({name}={value!r:.40}): names to choose from are words, {{'mean': mean}}."
            )
