"""A worker as the text that it is: its source with all that it uses, and a worker made of such a text again.

What is scored is what a card shows. So nothing can come along that isn't written there: a network that was
trained before, a data set, an object with a memory.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from ...travel.blame import captured
from .rules import LIBRARIES, NotAllowed, check_rules
from .task import Task

HEAD = "from __future__ import annotations"
LONGEST_VALUE = 200  # characters of one captured value: settings, no weights
_MODULE = "contest_entry"  # no module that can be imported: its functions travel by value
_PLAIN = "numbers, texts, None, True, False, and small tuples, lists, sets and dicts of those"


@dataclass
class Source:
    """What an entry consists of: lines that need nothing, and functions with the place where they stand."""

    worker: str  # its name
    task: Task  # the contest in which it is scored, whichever its author wrote it for
    lines: dict[str, str] = field(default_factory=dict)  # by name: imports, settings, the task
    functions: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # text, file, line before it

    @property
    def text(self) -> str:
        """All of it, as a file that can be read and run."""
        imports = sorted(line for line in self.lines.values() if line.startswith(("import ", "from ")))
        others = [line for line in self.lines.values() if line not in imports]
        parts = ["\n".join([HEAD, "", *imports, *others]), *(text for text, _, _ in self.functions.values())]
        return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def source_of(worker: Any, task: Task) -> Source:
    """The source of ``worker`` and all that it captures; raises ``NotAllowed`` for what an entry may not."""
    name = getattr(worker, "__name__", type(worker).__name__)
    if not isinstance(worker, FunctionType) or name == "<lambda>":
        kind = "a lambda" if name == "<lambda>" else f"a {type(worker).__name__}"
        raise NotAllowed(f"an entry is a plain function: write def worker(node): … ({name} is {kind}).")
    found = Source(name, task)
    _add_function(found, name, worker)
    check_rules(found.text)
    return found


def made(source: Source, task: Task) -> Callable[..., Any]:
    """The worker that ``source`` describes, with this ``task``; errors show the learner's own lines."""
    head = Source(source.worker, source.task, source.lines).text
    space = _begun(head, "<head of the entry>")
    for text, file, before in source.functions.values():
        _execute("\n" * before + text, file, space)
    return _ended(space, source.worker, task)


def made_again(text: str, worker: str, task: Task, file: str) -> Callable[..., Any]:
    """The same from a card's text. This runs it: only for what somebody has read."""
    check_rules(text)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space = _begun(text, file)
    if not isinstance(space.get(worker), FunctionType):
        raise NotAllowed(f"the source has no function {worker}.")
    return _ended(space, worker, task)


def _begun(text: str, file: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": _MODULE}
    _execute(text, file, space)
    return space


def _execute(text: str, file: str, space: dict[str, Any]) -> None:
    exec(compile(text, file, "exec"), space)  # annotations stay texts, as in this file


def _ended(space: dict[str, Any], worker: str, task: Task) -> Callable[..., Any]:
    for name, value in space.items():
        if isinstance(value, Task):
            space[name] = task
    made_one: Callable[..., Any] = space[worker]
    return made_one


def _add_function(found: Source, name: str, function: FunctionType) -> None:
    """Enter ``function``, after all that it captures."""
    text, file, line = _text_of(function)
    if known := found.functions.get(name):
        _refuse_two(name, known == (text, file, line - 1))
        return
    found.functions[name] = (text, file, line - 1)  # a function that calls itself meets itself here
    parameters = set(function.__code__.co_varnames[: function.__code__.co_argcount])
    parameters |= set(function.__kwdefaults__ or {})
    values = {k: v for k, v in captured(function).items() if k not in parameters}
    for default in _names_in_defaults(text):
        if default in function.__globals__:
            values[default] = function.__globals__[default]
    for other, value in values.items():
        _add(found, other, value, function.__name__)
    found.functions[name] = found.functions.pop(name)  # after what it needs
    if function.__name__ != name:
        raise NotAllowed(
            f"{function.__name__} is called {name} where it is used: call it by the name that its def has."
        )


def _add(found: Source, name: str, value: Any, user: str) -> None:
    """Enter what a function of the entry captures under ``name``."""
    if isinstance(value, FunctionType) and not _is_library(value.__module__):
        _add_function(found, name, value)
        return
    line = _line_of(name, found.task if isinstance(value, Task) else value)
    if line is None:
        kind = type(value).__name__
        raise NotAllowed(
            f"{user} captures `{name}` ({'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}), and an entry may "
            f"capture the task, the course, torch, functions of its own, and {_PLAIN}: make it in the worker."
        )
    if isinstance(value, Task):
        _enter(found, "lab", "import ddl_lab as lab")
    _enter(found, name, line)


def _enter(found: Source, name: str, line: str) -> None:
    if name in found.lines:
        _refuse_two(name, found.lines[name] == line)
    found.lines[name] = line


def _refuse_two(name: str, same: bool) -> None:
    if not same:
        raise NotAllowed(f"two functions of the entry mean different things by `{name}`: rename one.")


def _line_of(name: str, value: Any) -> str | None:
    """A line of Python after which ``name`` is ``value``; None where an entry may have no such thing."""
    if isinstance(value, Task):
        return f"{name} = lab.contest(seed={value.seed}{', failures=True' if value.failures else ''})"
    if isinstance(value, ModuleType):
        module = value.__name__
        plain = f"import {module}" if module == name else f"import {module} as {name}"
        return plain if _is_library(module) and sys.modules.get(module) is value else None
    if _is_plain(value):
        return f"{name} = {value!r}" if len(repr(value)) <= LONGEST_VALUE else None
    for home in (getattr(value, "__module__", None), "torch"):
        called = getattr(value, "__name__", name)
        if _is_library(home) and getattr(sys.modules.get(str(home)), called, None) is value:
            return f"from {home} import {called}" + (f" as {name}" if called != name else "")
    return None


def _is_library(module: Any) -> bool:
    return isinstance(module, str) and module.split(".")[0] in LIBRARIES


def _is_plain(value: Any) -> bool:
    """Whether ``repr`` tells all of it."""
    try:
        return type(value).__module__ == "builtins" and bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _text_of(function: FunctionType) -> tuple[str, str, int]:
    """Its text from the left margin, the file where it stands and the line of its def there."""
    try:
        lines, line = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise NotAllowed(
            f"the source of {function.__name__} can't be found: write it in a cell or in a file."
        ) from None
    text = textwrap.dedent("".join(lines))
    if not text.startswith("def "):
        how = "has a decorator" if text.startswith("@") else "is no plain def"
        raise NotAllowed(f"{function.__name__} {how}: an entry consists of def name(…): … alone.")
    return text, function.__code__.co_filename, line


def _names_in_defaults(text: str) -> set[str]:
    """The names that stand in the defaults of a def."""
    (definition,) = ast.parse(text).body
    assert isinstance(definition, ast.FunctionDef)
    defaults = [*definition.args.defaults, *filter(None, definition.args.kw_defaults)]
    return {node.id for part in defaults for node in ast.walk(part) if isinstance(node, ast.Name)}
