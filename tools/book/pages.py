"""A lab as a page of the book: pictures as files with words, questions as fields, sliders as ranges.

What a page shows is what the saved notebook shows, less what asks for a kernel: outputs are never made
here. Everything can be read without script; docs/book/book.js hides and moves.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import html
import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ddl_lab.widgets.page import REVIVE

PICTURES = "_static/labs"  # from a page's folder
CHECK = re.compile(r"\b(exercise\w*)\.(\w+)\.check\(")
SHOWS = re.compile(r"\b(\w+)\.(?:reveal|then)\(|prediction=(\w+)")
UNWRITTEN = "; no prediction was written"


class Pages:
    """Turns labs into pages; ``save(name, bytes)`` puts a picture where a page finds it by that name."""

    def __init__(self, save: Callable[[str, bytes], None]) -> None:
        self._save = save

    def page(
        self, lab: str, notebook: dict[str, Any], pressed: dict[str, Any], folder: Path
    ) -> dict[str, Any]:
        """The page of one lab. ``pressed``: what ``folder`` has for the cells of which ids."""
        asked = questions(notebook)
        cells = []
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell = {**cell, "outputs": list(self._outputs(lab, cell, asked, pressed, folder))}
                asks = any(question["cell"] == cell["id"] for question in asked.values())
                cell["metadata"] = {"tags": ["remove-input"] if asks else []}  # the field says it
            cells.append(cell)
        return {**notebook, "cells": cells}

    def _outputs(
        self, lab: str, cell: dict[str, Any], asked: dict[str, Any], pressed: dict[str, Any], folder: Path
    ) -> Iterator[dict[str, Any]]:
        source = "".join(cell["source"])
        yield from (_html(_marker(asked[name]["key"])) for name in shown_by(source, asked))
        if hints := hints_of(lab, source):
            yield _html(hints)
            return
        outputs, told = cell["outputs"], pressed.get(cell["id"])
        if told:
            outputs = [one for one in outputs if one["output_type"] == "stream"]
        question = next((q for q in asked.values() if q["cell"] == cell["id"]), None)
        if question:
            outputs = [one for one in outputs if "text/markdown" not in one.get("data", {})]
            yield _html(_form(question))
        yield from (self._output(lab, one) for one in outputs if not _dull(one))
        if told:
            yield _html(self._explorer(lab, cell["id"], told, folder))

    def _output(self, lab: str, output: dict[str, Any]) -> dict[str, Any]:
        data = output.get("data", {})
        if "image/png" in data:
            png = base64.b64decode(_text(data["image/png"]))
            size = output["metadata"].get("image/png", {})
            return _html(_image(self._put(lab, png), words_of(_text(data["text/plain"])), size))
        if "text/markdown" in data:
            return {**output, "data": {"text/markdown": _text(data["text/markdown"]).replace(UNWRITTEN, "")}}
        if "text/html" in data:
            shown = _text(data["text/html"]).replace(f"<p><small>{REVIVE}</small></p>", "")
            return _html(shown)
        return output

    def _put(self, lab: str, png: bytes) -> str:
        name = f"{PICTURES}/{lab[:2]}/{hashlib.sha256(png).hexdigest()[:12]}.png"
        self._save(name, png)
        return name

    def _explorer(self, lab: str, cell: str, told: dict[str, Any], folder: Path) -> str:
        """Ranges, the picture of where they start, and the words for each of their places."""
        shown = json.loads(json.dumps(told))
        for one in shown["pictures"].values():
            one["alt"] = words_of(one["alt"])
            if one["src"]:
                one["src"] = self._put(lab, (folder / one["src"]).read_bytes())
        start = shown["pictures"][",".join(str(control["start"]) for control in shown["controls"])]
        ranges = "".join(_range(cell, k, control) for k, control in enumerate(shown["controls"]))
        data = json.dumps(shown, ensure_ascii=False).replace("</", "<\\/")
        return (
            f'<div class="explorer" id="explore-{cell}"><div class="controls" hidden>{ranges}</div>'
            f"{_image(start['src'], start['alt'], start['size'])}"
            f'<div class="words" aria-live="polite">{_words(start)}</div>'
            "<p><small>Pictures made beforehand by the notebook's own explorer, which has more controls and "
            f'runs real processes.</small></p><script type="application/json">{data}</script></div>'
        )


def questions(notebook: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By variable: each prediction's key, question, unit, and the id of the cell that asks."""
    found = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or "lab.ask(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("lab.ask("):
                call = node.value
                assert isinstance(call, ast.Call) and isinstance(node.targets[0], ast.Name)
                unit = next((k.value for k in call.keywords if k.arg == "unit"), None)
                found[node.targets[0].id] = {
                    "key": ast.literal_eval(call.args[0]),
                    "question": _asked(cell),
                    "unit": ast.literal_eval(unit) if unit is not None else "",
                    "cell": cell["id"],
                }
    return found


def _asked(cell: dict[str, Any]) -> str:
    """The question as the notebook shows it, without the words before it."""
    for output in cell["outputs"]:
        if "text/markdown" in output.get("data", {}):
            return _text(output["data"]["text/markdown"]).removeprefix("> **Your prediction.** ")
    return ""


def shown_by(source: str, asked: dict[str, Any]) -> list[str]:
    """The variables of the predictions whose answers a cell shows."""
    found = [name for pair in SHOWS.findall(source) for name in pair if name in asked]
    return list(dict.fromkeys(found))


def hints_of(lab: str, source: str) -> str:
    """Of a cell that checks an exercise: its hints, each folded; "" for other cells."""
    match = CHECK.search(source)
    if not match:
        return ""
    exercises = importlib.import_module(f"ddl_lab.exercises.lab_{lab[:2]}")
    hints = getattr(exercises, match[2]).hints
    folded = "".join(
        f"<details><summary>Hint {k} of {len(hints)}</summary><p>{_code_in(hint)}</p></details>"
        for k, hint in enumerate(hints, 1)
    )
    checks = "<p><small>The notebook checks your lines and names the mistake.</small></p>"
    return f'<div class="hints">{folded}{checks}</div>'


def words_of(text: str) -> str:
    """A figure's summary without the brackets of its repr."""
    return text.strip().removeprefix("<figure: ").removesuffix(">")


def _dull(output: dict[str, Any]) -> bool:
    return "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def _form(question: dict[str, str]) -> str:
    key, unit = html.escape(question["key"]), html.escape(question["unit"])
    name = f"predict-{key}"
    return (
        f'<form class="predict" data-key="{key}"><p><strong>Your prediction.</strong> '
        f'<label for="{name}">{_code_in(question["question"])}</label></p>'
        f'<p class="answer" hidden><input id="{name}" type="text" autocomplete="off" size="12"> {unit} '
        '<button type="submit">write it down</button> <button type="button">show me anyway</button> '
        '<span role="status"></span></p></form>'
    )


def _marker(key: str) -> str:
    return f'<div class="shows" data-key="{html.escape(key)}"></div>'


def _range(cell: str, number: int, control: dict[str, Any]) -> str:
    name, values, start = f"{cell}-{number}", control["values"], control["start"]
    unit = f" ({html.escape(control['unit'])})" if control["unit"] else ""
    return (
        f'<p><label for="{name}">{html.escape(control["label"])}{unit}</label> '
        f'<input id="{name}" type="range" min="0" max="{len(values) - 1}" step="1" value="{start}" '
        f'aria-valuetext="{html.escape(values[start])}">'
        f'<output for="{name}">{html.escape(values[start])}</output></p>'
    )


def _words(one: dict[str, Any]) -> str:
    code = f"<pre>{html.escape(one['code'])}</pre>" if one["code"] else ""
    return f"<p>{html.escape(one['words'])}</p>{code}"


def _image(source: str, words: str, size: dict[str, int]) -> str:
    sides = "".join(f' {side}="{size[side]}"' for side in ("width", "height") if side in size)
    return f'<img class="figure" src="{source}" alt="{html.escape(words)}"{sides} loading="lazy">'


def _code_in(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _html(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/html": text}, "metadata": {}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "".join(value)
