"""A card to share: a picture, and a JSON file that holds the whole entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...history.files import whole_file

if TYPE_CHECKING:
    from ...plots.canvas import Canvas
    from .score import Score

FORMAT = "ddl_lab contest card, 1"
NUMBERS = ("seconds", "node_seconds", "charged_s", "money", "checked", "held_out")
FIELDS = ("name", "seed", "failures", "nodes", *NUMBERS, "confirmed", "how", "digest", "source")


def written(score: Score, path: str | Path) -> Canvas:
    """Write ``path``.png and ``path``.json; returns the picture. Raises ``OSError``."""
    from ...plots.labs.contest import card

    base = Path(path)
    if base.suffix in (".png", ".json"):
        base = base.with_suffix("")
    ends = {} if score.history is None else score.history.finished_s
    picture = card({name: getattr(score, name) for name in FIELDS}, [ends[rank] for rank in sorted(ends)])
    _write(base.with_name(f"{base.name}.png"), picture.png())
    _write(base.with_name(f"{base.name}.json"), text_of(score).encode())
    print(f"{base}.png is the picture; {base}.json holds the source: lab.verify({str(base) + '.json'!r})")
    return picture


def text_of(score: Score) -> str:
    """The card as JSON."""
    told: dict[str, Any] = {"format": FORMAT} | {name: getattr(score, name) for name in FIELDS[:-1]}
    worker = next(line for line in reversed(score.source.splitlines()) if line.startswith("def "))
    told |= {"worker": worker[4:].split("(")[0], "source": score.source.splitlines()}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
