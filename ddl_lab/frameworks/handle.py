"""What ``lab.frameworks.ddp`` is: one framework, to be installed, run, read and taken away again."""

from __future__ import annotations

from typing import Any

from ..history.history import History
from ..learner.file import attended
from . import installing, running
from .environments import Environment
from .launching import environment_of
from .table import Framework
from .task import EPOCHS


class Handle:
    """One framework. ``title``, ``lines`` of its script, and what can be done with it."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.name, self.title, self.lines = framework.name, framework.title, framework.lines

    def __repr__(self) -> str:
        state = "installed" if self.installed else f"not installed: {self._call('install()')}"
        return f"<{self.title}; {state}>"

    def _call(self, what: str) -> str:
        return f"lab.frameworks.{self.name}.{what}"

    @property
    def environment(self) -> Environment | None:
        """The environment that it needs; None: the course's own."""
        return environment_of(self.framework)

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return self.environment is None or self.environment.is_ready()

    def install(self, *, ask: bool = True, torch_index: str = "") -> None:
        """Make its environment: tells size and minutes, asks, shows progress; can be interrupted and resumed.

        It goes to the learner's own folder, or to the one that ``DDL_LAB_FRAMEWORKS`` names.
        ``torch_index``: an index of torch wheels to use besides the usual one, as for ``make setup``.
        Raises ``CantInstall``: another system than the lock's, no room, a folder that you only read.
        """
        if self.environment is None:
            print(f"{self.title} is in the course's own environment.")
        elif installing.install(self.environment, torch_index=torch_index, agreed=_asking(ask)):
            print(f"{self.title} is installed.")

    def remove(self) -> None:
        """Take its environment away, and that of whoever shares it."""
        if self.environment is None:
            print(f"{self.title} is in the course's own environment, and stays.")
        else:
            installing.remove(self.environment)

    def run(
        self, nodes: int = 4, *, timeout_s: float = 300.0, epochs: int = EPOCHS, progress: bool = True
    ) -> History:
        """Train as ``nodes`` ranks, in real processes: see ``running.run``."""
        return running.run(self.framework, nodes, timeout_s=timeout_s, epochs=epochs, progress=progress)

    def code(self, name: str = "") -> Any:
        """Its script, as a notebook colours it; or by ``name`` one that it takes: "lesson.py" all do.

        Raises ``ValueError``, which lists those there are.
        """
        from IPython.display import Markdown

        files = {file.name: file for file in self.framework.sources}
        if name and name not in files:
            raise ValueError(f"{self.name} has no {name!r}; it takes {', '.join(files)}")
        file = files[name or self.framework.script]
        return Markdown(f"```python\n{file.read_text(encoding='utf-8')}```")


def _asking(ask: bool) -> Any:
    """What asks the learner; without one who could answer, nothing is fetched."""

    def agreed(question: str) -> bool:
        print(question)
        if not ask:
            return True
        if not attended():
            print("Nobody is here to say yes: install(ask=False) does it without.")
            return False
        return input("yes or no: ").strip().lower() in ("y", "yes")

    return agreed
