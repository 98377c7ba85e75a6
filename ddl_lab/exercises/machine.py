"""The exercise machine: takes a learner's function, checks it, and names the likely mistake.

An exercise lives in ``lab_NN/name.py`` as an ``Exercise`` with a reference, a check and hints. Its check
calls the learner's function on cases and raises ``Wrong`` with a sentence for the learner; whatever
else is raised on the way is told in words, with the learner's own line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from ..errors import LabError
from ..learner.file import current, today
from ..travel.frames import learner_frames, show_frame
from .helpers import Wrong
from .stubs import misfit, untouched
from .texts import Folded, Hint

Function = TypeVar("Function", bound=Callable[..., Any])
RIGHT, NOT_YET, NOT_TRIED = "right", "not yet", "not tried yet"
STANDS_IN = "the course's answer stands in, so the notebook runs on"

EXERCISES: dict[str, Exercise] = {}  # by key, in the order in which the labs' files are imported


class NotRight(AssertionError):
    """In autograding: the exercise is not solved. The message is what ``check`` would print."""


class Verdict(NamedTuple):
    """What a check found: ``state`` is "right", "not yet" or "not tried yet"; ``text`` says more."""

    state: str
    text: str


class Exercise:
    """One exercise: its check, its hints, and the course's answer.

    ``key`` is the lab's number, a dot and the name that the exercise has in its file: "03.weights".
    ``reference`` is the course's answer, named as the learner's function is (an underscore in front
    is dropped when it is shown). ``check(answer)`` raises ``Wrong``, or returns what it tested, in
    words; where it returns None, the first line of its docstring is taken. ``given`` is the function
    as the notebook hands it out, where that has more in it than a docstring and ``...``.
    """

    def __init__(
        self,
        *,
        key: str,
        title: str,
        difficulty: int,
        minutes: int,
        reference: Callable[..., Any],
        check: Callable[[Any], str | None],
        hints: Sequence[str],
        given: Callable[..., Any] | None = None,
    ) -> None:
        if not re.fullmatch(r"\d\d\.[a-z][a-z0-9_]*", key):
            raise ValueError(f"an exercise's key is lab.name, as in '03.weights'; this one is {key!r}")
        if difficulty not in (1, 2, 3) or minutes < 1 or not hints:
            raise ValueError(f"{key}: difficulty is 1, 2 or 3, minutes at least 1, hints at least one")
        known = EXERCISES.get(key)
        if known is not None and known.reference.__module__ != reference.__module__:
            raise ValueError(f"two exercises have the key {key!r}")
        self.key, self.title, self.difficulty, self.minutes = key, title, difficulty, minutes
        self.reference: Callable[..., Any] = reference
        self.hints, self.given = tuple(hints), given
        self._check = check
        self._hinted = 0
        EXERCISES[key] = self

    def __repr__(self) -> str:
        dots = "●" * self.difficulty + "○" * (3 - self.difficulty)
        return f"<exercise {self.key}: {self.title}, {dots}, {self.minutes} minutes>"

    def check(self, function: Function) -> Function:
        """Say what is right or wrong about ``function``; return it if it is right, else the course's answer.

        In autograding (nbgrader sets ``NBGRADER_EXECUTION``) anything but right raises ``NotRight``.
        """
        if function is self.reference:
            verdict = Verdict(NOT_TRIED, "this is the course's answer: run the cell with your function first")
        else:
            verdict = self.judge(function)
        text = f"{verdict.state}{' — ' if verdict.state == NOT_TRIED else ': '}{verdict.text}"
        if verdict.state != RIGHT and os.environ.get("NBGRADER_EXECUTION"):
            raise NotRight(f"{self.key}: {text}")
        print(text)
        if verdict.state == NOT_YET:
            name = f"exercise.{self.key.partition('.')[2]}"
            print(f"Until then {STANDS_IN}. {name}.hint() shows a hint, {name}.answer() the answer.")
        if verdict.state != NOT_TRIED:
            self._keep(verdict.state == RIGHT)
        return function if verdict.state == RIGHT else self.reference  # type: ignore[return-value]

    def _keep(self, right: bool) -> None:
        """Note that it was tried, and the day on which it was right for the first time."""
        file = current()
        first = right and not file.known("exercises", self.key).get("done")
        done = {"done": True} if right else {}
        file.note("exercises", self.key, tried=True, **done, **({"on": today()} if first else {}))

    def judge(self, function: Any) -> Verdict:
        """What ``check`` would say of ``function``; prints and keeps nothing."""
        if not callable(function):
            given = f"got {_described(function)}"
            return Verdict(NOT_YET, f"the check takes the function itself, without a call; it {given}")
        if untouched(function, self.given):
            return Verdict(NOT_TRIED, STANDS_IN)
        if fault := misfit(function, self.reference):
            return Verdict(NOT_YET, fault)
        try:
            with torch.random.fork_rng(devices=[]):  # the notebook's random numbers stay its own
                tested = self._check(function)
        except Exception as error:
            return Verdict(NOT_YET, str(error) if isinstance(error, Wrong) else _in_words(error))
        return Verdict(RIGHT, tested or (self._check.__doc__ or "all cases").strip().partition("\n")[0])

    def hint(self) -> None:
        """Show the next hint; after the last one, the last one again."""
        from IPython.display import display

        self._hinted = min(self._hinted + 1, len(self.hints))
        display(Hint(self.hints[self._hinted - 1], self._hinted, len(self.hints)))

    def answer(self) -> None:
        """Show the course's answer, folded."""
        from IPython.display import display

        display(Folded(f"The course's answer: {self.title}", self.reference))


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return "None" if value is None else f"{type(value).__name__} {str(value)[:40]}"


def _in_words(error: Exception) -> str:
    """What the learner's code raised, and where, without this package's lines."""
    name = type(error).__name__
    if isinstance(error, LabError):  # names ranks and lines by itself
        return "\n".join(
            ["your function ended the nodes' run:", *(f"  {x}" for x in str(error).splitlines())]
        )
    frames = learner_frames(error.__traceback__)
    lines = [line for frame in frames[-3:] for line in show_frame(frame)]
    if not lines:
        return f"the check can't use what your function returned: {name}: {error}"
    return "\n".join([f"your code raised {name}: {error}".rstrip(": "), *lines])
