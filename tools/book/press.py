"""The pictures of a lab's explorers, pressed beforehand: a page swaps them where a notebook would simulate.

``press`` runs a lab in a kernel in which ``lab.explore`` and ``lab.vary`` also go through their settings:
every node count, and a few values of one more control. What a setting shows is what the notebook's own
explorer draws there on the same machine. Pictures are kept under the hash of all that made them.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import nbformat

from tools.make_labs import run

ROOT = Path(__file__).parents[2]
MARK = "application/vnd.ddl-lab.pressed+json"
MOST, MOST_MORE, MOST_LISTED = (
    9,
    4,
    7,
)  # values of the first control, of the second, of a second that is a list
NODES = ("nodes", "workers", "stages", "clients", "servers")  # what counts nodes comes first
COLOURS = 128  # of a picture's palette

Setting: TypeAlias = list[tuple[Any, Any]]  # controls, and where each stands


def pressed(lab: Path, kept: Path) -> Path:
    """The folder of a lab's pictures, kept or made now; its ``pressed.json`` tells what is where."""
    folder = kept / f"{lab.stem}-{hash_of(lab)}"
    if not (folder / "pressed.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        press(lab, folder)
    return folder


def hash_of(lab: Path) -> str:
    """Of all that makes a lab's pictures: its cells, the package, the pins, and this file."""
    cells = [cell.source for cell in nbformat.read(lab, as_version=4).cells if cell.cell_type == "code"]
    digest = hashlib.sha256(json.dumps(cells).encode())
    package = sorted((ROOT / "ddl_lab").rglob("*.py"))
    for path in [*package, ROOT / "requirements.lock", ROOT / "data" / "digits.npz", Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def press(lab: Path, folder: Path) -> None:
    """Run ``lab`` and write its explorers' pictures into ``folder``; errors are those of the lab."""
    notebook = nbformat.read(lab, as_version=4)
    shown = [cell for cell in notebook.cells if _shows_controls(cell)]
    found: dict[str, Any] = {}
    if shown:
        last = notebook.cells.index(shown[-1])
        first = nbformat.v4.new_code_cell(
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            f"from tools.book.press import press_into; press_into({str(folder)!r})"
        )
        part = copy.deepcopy(notebook)
        part.cells = [first, *part.cells[: last + 1]]
        run(part)
        found = {cell.id: told for cell in part.cells for told in _marks(cell)}
    (folder / "pressed.json").write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


def _shows_controls(cell: Any) -> bool:
    return cell.cell_type == "code" and ("lab.explore(" in cell.source or "lab.vary(" in cell.source)


def _marks(cell: Any) -> Iterator[Any]:
    for output in cell.get("outputs", []):
        if MARK in output.get("data", {}):
            yield output["data"][MARK]


# -- in the kernel --------------------------------------------------------------------------------


def press_into(folder: str) -> None:
    """From here on ``lab.explore`` and ``lab.vary`` leave their pictures in ``folder``, too."""
    import ddl_lab as lab
    from ddl_lab.widgets.drawing import Vary
    from ddl_lab.widgets.explorer import Explorer, explore
    from ddl_lab.widgets.panel import Panel

    vary = lab.vary

    def explore_and_press(worker: Any, **how: Any) -> None:
        explore(worker, **how)
        usual: dict[str, Any] = {
            "nodes": 4, "most": 64, "cluster": lab.Cluster(), "args": (), "show_cluster": False,
        }  # fmt: skip
        how = usual | how
        metric, _ = how.pop("metric", "loss"), how.pop("prediction", None)
        own = {name: how.pop(name) for name in usual}
        panel = Panel(worker, controls=how, **own)
        _press(_Explorer(Explorer(panel, metric)), Path(folder))

    def vary_and_press(draw: Any, *, prediction: Any = None, **controls: Any) -> None:
        vary(draw, prediction=prediction, **controls)
        _press(_Vary(Vary(draw, None, controls)), Path(folder))

    lab.explore, lab.vary = explore_and_press, vary_and_press


class _Caught:
    """In place of a widget's page: the last picture, and the last words."""

    def __init__(self) -> None:
        self.png, self.alt, self.text, self.code = b"", "", "", ""

    def show(self, figure: Any, text: str) -> None:
        from ddl_lab.widgets.page import picture_of

        self.draw(*picture_of(figure))
        self.say(text)

    def draw(self, bundle: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.png, self.alt = bundle["image/png"], bundle["text/plain"]
        self.size = metadata["image/png"]

    def say(self, text: str, code: str = "") -> None:
        self.text, self.code = text, code


class _Explorer:
    """An explorer of its own, which nobody sees, to be gone through."""

    def __init__(self, explorer: Any) -> None:
        self._explorer, self.page = explorer, _Caught()
        explorer.board.page = self.page
        self.controls = [explorer.panel.nodes, *explorer.panel.of_worker]

    def turn(self) -> None:
        for _ in self._explorer._slices(self._explorer.panel.setting()):
            pass

    def afresh(self, settings: list[Setting]) -> None:
        """Forget the last settings and go through these: each picture then has the others beside it."""
        self._explorer.board.clear()
        for setting in settings:
            _turn(self, setting)


class _Vary:
    def __init__(self, vary: Any) -> None:
        self._vary, self.page = vary, _Caught()
        vary.page = self.page
        self.controls = vary.controls

    def turn(self) -> None:
        self._vary._redraw()

    def afresh(self, settings: list[Setting]) -> None:
        """Nothing stays from one setting to the next."""


def _press(widget: _Explorer | _Vary, folder: Path) -> None:
    """Go through the widget's settings, write a picture for each, and tell the notebook what is where."""
    from IPython.display import display

    chosen = chosen_of(widget.controls)
    places = [places_of(control, first=k == 0) for k, control in enumerate(chosen)]
    shown: dict[str, Any] = {}
    for further in product(*places[1:]):
        settings = [list(zip(chosen, (place, *further), strict=True)) for place in places[0]]
        widget.afresh(settings)
        for setting in settings:
            at = [place for _, place in setting]
            shown[_key(places, at)] = _setting(widget, setting, folder)
    told = {
        "controls": [
            {"label": c.label, "unit": c.unit, "values": [_text(c, p) for p in ps], "start": ps.index(_at(c))}
            for c, ps in zip(chosen, places, strict=True)
        ],
        "pictures": shown,
    }
    display({MARK: told}, raw=True)


def _key(places: Sequence[list[Any]], at: Sequence[Any]) -> str:
    return ",".join(str(ps.index(place)) for ps, place in zip(places, at, strict=True))


def _turn(widget: _Explorer | _Vary, setting: Setting) -> str:
    """Put the controls there and draw; what was wrong, or ""."""
    from ddl_lab.errors import LabError
    from ddl_lab.widgets.newest import in_words

    for control, place in setting:
        control.widget.value = place
    try:
        widget.turn()
    except (ValueError, LabError) as error:  # a setting that can't be, told in words
        return in_words(error)
    return ""


def _setting(widget: _Explorer | _Vary, setting: Setting, folder: Path) -> dict[str, Any]:
    if wrong := _turn(widget, setting):
        return {"src": "", "words": wrong, "code": "", "alt": ""}
    page = widget.page
    small = smaller(page.png)
    name = f"{hashlib.sha256(small).hexdigest()[:12]}.png"
    (folder / name).write_bytes(small)
    return {"src": name, "words": page.text, "code": page.code, "alt": page.alt, "size": page.size}


def smaller(png: bytes) -> bytes:
    """The picture with a palette, clear ground kept."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        flat = image.convert("RGBA").quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    out = io.BytesIO()
    flat.save(out, "png", optimize=True)
    return out.getvalue() if len(out.getvalue()) < len(png) else png


def chosen_of(controls: Sequence[Any]) -> list[Any]:
    """The control that counts nodes, or the first; and one more: a list to choose from, or the next."""
    first = next((c for c in controls if c.name in NODES), controls[0])
    rest = [c for c in controls if c is not first]
    listed = [c for c in rest if _options(c) is not None and not _is_slider(c)]
    further = [c for c in rest if not isinstance(_at(c), bool)]  # a box to tick changes little by itself
    return [first, *(listed or further or rest)[:1]]


def places_of(control: Any, first: bool) -> list[Any]:
    """The values of its widget to stop at, the start among them."""
    options, start = _options(control), _at(control)
    if options is None:
        widget = control.widget
        if isinstance(start, bool):
            return [False, True]
        count = round((widget.max - widget.min) / widget.step)
        options = [type(start)(widget.min + k * widget.step) for k in range(count + 1)]
        options = sorted({*options, start})
    most = MOST if first else MOST_MORE if _is_slider(control) else MOST_LISTED
    return thinned(options, start, most)


def thinned(options: Sequence[Any], start: Any, most: int) -> list[Any]:
    """At most ``most`` of the options, evenly, both ends and the start among them."""
    if len(options) <= most:
        return list(options)
    step = (len(options) - 1) / (most - 1)
    kept = {round(k * step) for k in range(most)}
    home = options.index(start)
    if home not in kept:
        inner = sorted(kept)[1:-1] or sorted(kept)
        kept.remove(min(inner, key=lambda k: abs(k - home)))
    return [options[k] for k in sorted(kept | {home})]


def _options(control: Any) -> list[Any] | None:
    found = getattr(control.widget, "options", None)
    if found is None:
        return None
    return [entry[1] if isinstance(entry, tuple) else entry for entry in found]


def _is_slider(control: Any) -> bool:
    return "Slider" in type(control.widget).__name__


def _at(control: Any) -> Any:
    return control.start


def _text(control: Any, place: Any) -> str:
    control.widget.value = place
    text: str = control.text
    return "∞" if text == str(math.inf) else text
