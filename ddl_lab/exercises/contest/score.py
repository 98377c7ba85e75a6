"""What an entry took, and whether it is true: a ``Score``, as it shows itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from ...counted import counted
from ...history.history import History
from ...tables import html_table
from .task import CHECKED, TARGET

PRICE_PER_HOUR = 3.0  # dollars a node: made up
LUCK = 0.03  # by which 500 other digits may be worse: more than chance has it (2.6 standard errors)


def digest_of(source: str) -> str:
    """The first 12 digits of a source's SHA-256."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def is_name(name: object) -> bool:
    """Whether it can name an entry on a board and a card: a text of 1 to 40 characters, on a line."""
    return isinstance(name, str) and 0 < len(name) <= 40 and name.isprintable()


@dataclass(frozen=True, repr=False)
class Score:
    """What a worker took to reach the target. Seconds are those of the virtual clock, all digits of them."""

    name: str
    seed: int
    failures: bool
    nodes: int
    seconds: float
    """Until the last node had returned, what was charged for processor time included."""
    node_seconds: float
    """Of all nodes together, each until it had returned: what is paid for."""
    charged_s: float
    """Part of ``seconds``: for processor time of the worker's own code, beyond what a step needs."""
    checked: float
    """The share of the 500 digits that ``task.passed`` looks at which the model gets right."""
    held_out: float
    """The same of 500 digits that nobody has seen."""
    confirmed: bool
    how: str
    """By what it is confirmed, or why it isn't."""
    source: str
    """The whole entry: what was scored."""
    history: History | None = field(default=None, compare=False)

    @property
    def reached(self) -> bool:
        """Whether the model passes, and the digits that it hasn't seen don't say otherwise."""
        return self.checked >= TARGET and self.held_out >= TARGET - LUCK

    @property
    def money(self) -> float:
        """Dollars: node-seconds at 3 dollars an hour."""
        return self.node_seconds * PRICE_PER_HOUR / 3600

    @property
    def digest(self) -> str:
        """What tells this source from any other: SHA-256, its first 12 digits."""
        return digest_of(self.source)

    def card(self, path: str = "card") -> Any:
        """Write a card to share: ``path``.png, a picture, and ``path``.json, which holds the source.

        Whoever gets the JSON can run the entry again, once it is read: ``lab.verify(path)``. Returns the
        picture. Raises ``OSError`` for a folder that isn't there or can't be written.
        """
        from .card import written

        return written(self, path)

    def __repr__(self) -> str:
        rows = dict(self._rows())
        verdict = "reached" if self.reached else "NOT reached"
        took = f"{self.name}: {rows['seconds']}, {rows['node-seconds']}"
        return f"{took}; {TARGET:.0%} {verdict}: {rows['digits']}; {rows['confirmed']}"

    def _repr_html_(self) -> str:
        head = f"{self.name}: {'reached' if self.reached else 'did not reach'} {TARGET:.0%}"
        return html_table(head, self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        charged = f", {self.charged_s:.3g} s of them charged for its own code" if self.charged_s else ""
        money = f"{100 * self.money:.3g} cents"
        return [
            ("seconds", f"{self.seconds:.4g} s{charged}"),
            (
                "node-seconds",
                f"{self.node_seconds:.4g} node-seconds ({money}) of {counted(self.nodes, 'node')}",
            ),
            ("digits", f"{self.checked:.1%} of {CHECKED}, and {self.held_out:.1%} of {CHECKED} held out"),
            ("confirmed", f"{'' if self.confirmed else 'not '}confirmed: {self.how}"),
        ]
