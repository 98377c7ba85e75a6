"""The table of all frameworks: which are installed, what each takes, and what else it needs."""

from __future__ import annotations

from ..tables import html_table
from .environments import Environment
from .launching import environment_of
from .table import FRAMEWORKS, Framework

HEAD = ("lab.frameworks.", "what", "installed", "MB", "minutes", "needs")


def rows() -> list[tuple[str, ...]]:
    """A row a framework, under ``HEAD``."""
    return [_row(framework) for framework in FRAMEWORKS.values()]


def _row(framework: Framework) -> tuple[str, ...]:
    about = framework.name, framework.title
    environment = environment_of(framework)
    if environment is None:
        return *about, "yes", "0", "0", "nothing"
    if not environment.lock.is_file():
        return *about, "no", "", "", "a lock, which it lacks"
    installed = "yes" if environment.is_ready() else "no"
    minutes = f"{int(environment.told('seconds')) / 60:.1f}"
    return *about, installed, environment.told("megabytes"), minutes, _needs(framework, environment)


def _needs(framework: Framework, environment: Environment) -> str:
    sharing = [
        f.name for f in FRAMEWORKS.values() if f.environment == environment.name and f is not framework
    ]
    needs = [*environment.tools]
    if sharing:
        needs.append(f"shared with {', '.join(sharing)}")
    return "; ".join(needs) or "nothing"


def as_text() -> str:
    """As plain text, a line a framework."""
    table = [HEAD, *rows()]
    widths = [max(len(row[k]) for row in table) for k in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def as_html() -> str:
    """As a notebook shows it."""
    note = "MB and minutes: as its lock was made. An environment is installed once for all that share it."
    return html_table("The same training in these frameworks", [HEAD, *rows()], note)
