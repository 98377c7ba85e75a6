"""``lab.verify``: somebody else's card. First it is read; then, and only then, its worker runs again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import LabError
from ...tables import html_table
from . import referee
from .card import FIELDS, FORMAT, NUMBERS
from .rules import LONGEST, check_rules
from .score import Score, digest_of, is_name
from .source import made_again
from .task import NODES, Task

MOST_BYTES = 200_000
NEAR = 0.05  # of the seconds: processors add in other orders, and a step more or less may pass
NEAR_DIGITS = 0.02


class BadCard(LabError):
    """A file that is no card of a contest; the message says what is wrong with it."""


@dataclass(frozen=True, repr=False)
class Verified:
    """What came out when a card's worker ran again here: ``.score``, beside what the card says."""

    card: dict[str, Any]
    score: Score

    @property
    def same(self) -> bool:
        """Whether all that is deterministic is the same to the last digit."""
        return (
            all(mine == said for _, said, mine in self._pairs())
            and self.score.confirmed >= self.card["confirmed"]
        )

    @property
    def matches(self) -> bool:
        """Whether it is true: seconds within 5 %, digits within 2 points, reached and confirmed alike.

        Another processor, or another torch, adds in another order, so a step more or less may pass.
        """
        near = [
            abs(mine - said) <= (NEAR_DIGITS if name in ("checked", "held_out") else NEAR * said)
            for name, said, mine in self._pairs()
        ]
        said_reached = referee.reached(self.card["checked"], self.card["held_out"])
        kept = self.score.confirmed >= self.card["confirmed"] and self.score.reached >= said_reached
        return all(near) and kept

    @property
    def words(self) -> str:
        """What differs, or that nothing does."""
        if self.same:
            return "it is what the card says, to the last digit"
        told = [
            f"{name} {mine:.4g}, and the card says {said:.4g}"
            for name, said, mine in self._pairs()
            if mine != said
        ]
        if self.card["confirmed"] and not self.score.confirmed:
            told.append(f"the card says confirmed, and here it is not: {self.score.how}")
        verdict = "near enough" if self.matches else "it is NOT what the card says"
        return f"{verdict}: {'; '.join(told)}"

    def _pairs(self) -> list[tuple[str, float, float]]:
        """(name, the card's, mine) of what is deterministic: without the charge for processor time."""
        own = [getattr(self.score, name) for name in ("seconds", "checked", "held_out")]
        own[0] -= self.score.charged_s
        said = [self.card["seconds"] - self.card["charged_s"], self.card["checked"], self.card["held_out"]]
        pairs = list(zip(("seconds", "checked", "held_out"), said, own, strict=True))
        if not self.card["charged_s"] and not self.score.charged_s:
            pairs.append(("node_seconds", self.card["node_seconds"], self.score.node_seconds))
        return pairs

    def __repr__(self) -> str:
        return f"{self.card['name']}, run again: {self.words}"

    def _repr_html_(self) -> str:
        rows = [(name, f"{said:.4g}", f"{mine:.4g}") for name, said, mine in self._pairs()]
        title = f"{self.card['name']}: {'matches' if self.matches else 'does not match'}"
        return html_table(title, [("", "the card", "here"), *rows], self.words)


def verify(path: str | Path, *, i_have_read_it: bool | None = None) -> Verified | None:
    """Show the source that a card holds; with ``i_have_read_it=True`` run it again and compare.

    ``path``: the JSON file that ``Score.card`` wrote. Somebody else's worker is a program that runs as you:
    the rules of the contest are checked, and they do not make it safe. So the first call shows the source and
    runs nothing; it returns None. Raises ``BadCard`` for a file that is no card, ``NotAllowed`` for a source
    against the rules, ``ValueError`` for ``i_have_read_it`` that is neither given nor True.
    """
    if i_have_read_it is not None and i_have_read_it is not True:
        raise ValueError(
            f"lab.verify: i_have_read_it={i_have_read_it!r}: it runs somebody's program only if it is True. "
            "Without it the source is shown: read that first."
        )
    card = read(Path(path))
    if i_have_read_it is None:
        print(f"# {card['name']}, contest {card['seed']}; the card says {card['seconds']:.4g} s\n")
        print(card["source"])
        print(f"# Nothing has run. Once you have read it: lab.verify({str(path)!r}, i_have_read_it=True)")
        return None
    source, worker, file = card["source"], card["worker"], f"<card {Path(path).name}>"

    def make(task: Task) -> Any:
        return made_again(source, worker, task, file)

    asked = Task(card["seed"], card["failures"])
    return Verified(card, referee.judged(asked, make, source, card["nodes"], card["name"], card["confirmed"]))


def read(path: Path) -> dict[str, Any]:
    """The card in the file; raises ``BadCard``, and ``NotAllowed`` for its source. Runs nothing."""
    card = _json(path)
    missing = [name for name in (*FIELDS, "worker") if name not in card]
    if card.get("format") != FORMAT or missing:
        what = f"it lacks {', '.join(missing)}" if missing else f"its format is {card.get('format')!r:.60}"
        raise BadCard(f"{path} is no card of a contest: {what}. Score.card(path) writes one.")
    for name, fits in _fits(card).items():
        if not fits:
            raise BadCard(f"{path} is no card of a contest: its {name} is {card[name]!r:.60}.")
    card["source"] = "\n".join(card["source"]) + "\n"
    if digest_of(card["source"]) != card["digest"]:
        raise BadCard(
            f"{path}: its source is not that of its picture, {card['digest']}: somebody altered it."
        )
    check_rules(card["source"])
    return card


def _fits(card: dict[str, Any]) -> dict[str, bool]:
    """By field, whether it is what it must be."""
    source = card["source"]
    lines = isinstance(source, list) and all(isinstance(line, str) and "\n" not in line for line in source)
    texts = {name: isinstance(card[name], str) and len(card[name]) <= 300 for name in ("how", "digest")}
    return texts | {
        "name": is_name(card["name"]),
        "worker": isinstance(card["worker"], str) and card["worker"].isidentifier(),
        "seed": type(card["seed"]) is int and 0 <= card["seed"] < 2**32,
        "nodes": type(card["nodes"]) is int and 1 <= card["nodes"] <= NODES,
        "failures": isinstance(card["failures"], bool),
        "confirmed": isinstance(card["confirmed"], bool),
        "source": lines and sum(map(len, source)) + len(source) <= LONGEST,
        **{name: _is_number(card[name]) for name in NUMBERS},
    }


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadCard(
            f"{path} can't be read ({error.strerror}): name the .json that Score.card wrote."
        ) from None
    if len(content) > MOST_BYTES:
        raise BadCard(f"{path} has more than {MOST_BYTES:,} bytes: no card is as long.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise BadCard(f"{path} is no JSON: name the .json that Score.card wrote, not the picture.") from None
    if not isinstance(found, dict):
        raise BadCard(f"{path} is no card of a contest: it holds a {type(found).__name__}.")
    return found
