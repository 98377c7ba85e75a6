"""The certificate of ``lab.progress``: one page of what was done, and of what that doesn't prove."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from statistics import median
from typing import Any, NamedTuple

from ..counted import counted
from ..learner.better import off
from ..learner.numbers import amount, kept
from .machine import Exercise

NOT_PROVED = (
    "that the person named here did any of it: a program on their own machine wrote this page, from a file "
    "on that machine which anybody who can open it can change.",
    "that an exercise was solved without help: hints and the course's answer are one call away, and a right "
    "answer looks the same whoever found it.",
    "that a prediction was thought out: the program knows that it was written before its result was shown, "
    "not whether the result was known from elsewhere.",
    "that anything was understood, or is still known. For that, ask the person to predict a run that neither "
    "of you has seen.",
)
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "img{max-width:100%;height:auto}"
    ".wide{overflow-x:auto}"
    "table{border-collapse:collapse;font-size:.9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8886}"
    ".n{text-align:right;white-space:nowrap}"
    "@media print{body{margin:0}}"
)


class Written(NamedTuple):
    """A prediction that the file tells of: whole, with what was measured or None, and the day or "" ."""

    lab: str
    question: str
    predicted: str
    measured: str
    dot: float | None
    day: str
    late: bool


def day_of(known: Mapping[str, Any]) -> str:
    """The day that an entry tells, as "2026-11-30"; "" where it tells none."""
    day = known.get("on")
    return day if isinstance(day, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", day) else ""


def written(key: str, known: Mapping[str, Any], dot: float | None) -> Written | None:
    """The prediction of an entry; None where it has no number, or its key no lab."""
    value, measured = kept(known.get("value")), kept(known.get("measured"))
    if value is None or not re.match(r"\d\d\.", key):
        return None
    unit, question = (
        text if isinstance(text := known.get(name), str) else "" for name in ("unit", "question")
    )
    told = "not yet" if measured is None else amount(measured, unit)
    late = bool(known.get("late"))
    return Written(key[:2], question or key, amount(value, unit), told, dot, day_of(known), late)


def page(
    name: str,
    solved: Sequence[tuple[Exercise, str]],
    all_of_them: Sequence[Exercise],
    predictions: Sequence[Written],
    said: Sequence[str],
    picture: bytes,
) -> str:
    """The page as HTML, with the picture (a PNG) in it; it needs no other file and no network.

    ``solved``: exercises with the day of each, or "". ``said``: sentences about the whole.
    """
    days = sorted(filter(None, [*(day for _, day in solved), *(one.day for one in predictions)]))
    labs = sorted({one.key[:2] for one, _ in solved} | {one.lab for one in predictions})
    shown = base64.b64encode(picture).decode()
    course = f"Distributed deep learning by running it (ddl_lab {metadata.version('ddl_lab')})"
    parts = [
        f"<h1>What {html.escape(name) or 'somebody'} did in the course</h1>",
        f"<p>{course}, {_when(days)}.</p>",
        f"<p>{_counts(solved, all_of_them, predictions, labs)}</p>",
        *(f"<p>{html.escape(sentence)}</p>" for sentence in said),
        f'<img alt="{html.escape(" ".join(said))}" src="data:image/png;base64,{shown}">',
        "<h2>What this doesn't prove</h2>",
        f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in NOT_PROVED)}</ul>",
        *_by_lab(labs, solved, all_of_them, predictions),
        *_list_of_solved(solved),
        *_list_of_predictions(predictions),
    ]
    head = "<!doctype html><html lang=en><meta charset=utf-8><title>ddl_lab: what was done</title>"
    return f"{head}<style>{STYLE}</style><body>\n" + "\n".join(parts) + "\n</body></html>\n"


def _when(days: Sequence[str]) -> str:
    if not days:
        return "at times that were not kept"
    return f"on {days[0]}" if days[0] == days[-1] else f"from {days[0]} to {days[-1]}"


def _counts(
    solved: Sequence[Any], all_of_them: Sequence[Any], predictions: Sequence[Written], labs: Sequence[str]
) -> str:
    beside = sum(one.dot is not None for one in predictions)
    late = sum(one.late for one in predictions)
    told = f"{len(solved)} of {counted(len(all_of_them), 'exercise')} right. "
    told += f"{counted(len(predictions), 'prediction')} written, {beside} of them beside the result"
    told += f" ({late} came after it, and count for nothing)." if late else "."
    seen = f" Something of {counted(len(labs), 'lab')} is in it: {', '.join(labs)}." if labs else ""
    return f"{told}{seen}"


def _by_lab(
    labs: Iterable[str], solved: Sequence[tuple[Exercise, str]], all_of_them: Sequence[Exercise],
    predictions: Sequence[Written],
) -> list[str]:  # fmt: skip
    rows = []
    for lab in labs:
        done, there = sum(e.key[:2] == lab for e, _ in solved), sum(e.key[:2] == lab for e in all_of_them)
        dots = [one.dot for one in predictions if one.lab == lab and one.dot is not None]
        far = f"{median(map(off, dots)):.3g}" if dots else ""
        rows.append((f"lab {lab}", f"{done} of {there}", str(len(dots)), far))
    return _table("Lab by lab", ("", "exercises right", "predictions", "off by (median)"), rows, numbers=3)


def _list_of_solved(solved: Sequence[tuple[Exercise, str]]) -> list[str]:
    rows = [
        (one.key, one.title, "●" * one.difficulty + "○" * (3 - one.difficulty), day) for one, day in solved
    ]
    return _table("Exercises right", ("", "", "", "first on"), rows)


def _list_of_predictions(predictions: Sequence[Written]) -> list[str]:
    rows = [
        (
            f"lab {one.lab}",
            one.question,
            one.predicted + (" (late)" if one.late else ""),
            one.measured,
            one.day,
        )
        for one in predictions
    ]
    return _table("Predictions", ("", "", "predicted", "measured", "on"), rows)


def _table(
    head: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0
) -> list[str]:  # fmt: skip
    """A heading and a table of which the last ``numbers`` columns are numbers; nothing where it is empty."""
    if not rows:
        return []

    def line(cells: Sequence[str], tag: str) -> str:
        first = len(cells) - numbers
        marks = [" class=n" if numbers and place >= first else "" for place in range(len(cells))]
        return "".join(
            f"<{tag}{mark}>{html.escape(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=True)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>\n" for row in rows)
    return [
        f"<h2>{head}</h2>",
        f"<div class=wide><table><tr>{line(columns, 'th')}</tr>\n{body}</table></div>",
    ]
