"""Whether a function is still as the notebook handed it out, and whether it can be called as asked."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

Step = tuple[str, Any]


def _nothing() -> None: ...


def _refuses() -> None:
    raise NotImplementedError


def _refuses_by_a_call() -> None:
    raise NotImplementedError()


def _refuses_in_words() -> None:
    raise NotImplementedError("")


_REFUSALS = (_refuses, _refuses_by_a_call, _refuses_in_words)


def untouched(function: Callable[..., Any], given: Callable[..., Any] | None = None) -> bool:
    """Whether nothing was written into ``function``: comments, docstrings and names of arguments aside.

    Its body is a docstring, ``...``, ``pass`` or ``raise NotImplementedError``; or, where ``given``
    is told, the same as the body of ``given``.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return False
    if given is not None and _outline(code) == _outline(given.__code__):
        return True
    if _outline(code) == _outline(_nothing.__code__):
        return True
    kinds = [_kinds(refusal.__code__) for refusal in _REFUSALS]
    return code.co_names == ("NotImplementedError",) and _kinds(code) in kinds


def _outline(code: CodeType) -> list[Step]:
    """What ``code`` does, step by step: equal for equal bodies, wherever they stand in a file.

    A NOP stands for a line that does nothing, such as ``...``. And a call of ``torch.tensor`` is one
    of a method or of an attribute, depending on whether the same file imports torch.
    """
    jumps = set(dis.hasjrel)  # no other ones since Python 3.11
    return [
        (
            step.opname.replace("LOAD_METHOD", "LOAD_ATTR"),
            "" if step.opcode in jumps else _comparable(step.argval),
        )
        for step in dis.get_instructions(code)
        if step.opname not in ("NOP", "PUSH_NULL")
    ]


def _comparable(value: Any) -> Any:
    return _outline(value) if isinstance(value, CodeType) else repr(value)


def _kinds(code: CodeType) -> list[str]:
    return [name for name, _ in _outline(code)]


def misfit(function: Callable[..., Any], reference: Callable[..., Any]) -> str:
    """One sentence if ``function`` can't be called as ``reference`` can, else ""."""
    try:
        theirs = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in function without one
        return ""
    ours = inspect.signature(reference)
    positional = [p for p in ours.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    by_name = {p.name: None for p in ours.parameters.values() if p.kind is p.KEYWORD_ONLY}
    required = [p for p in positional if p.default is p.empty]
    for handed in (required, positional):
        try:
            theirs.bind(*handed, **by_name)
        except TypeError as error:
            name = getattr(function, "__name__", "your function")
            calls = (
                f"{name}{bare_signature(function)} can't be called as {bare_signature(reference)}: {error}"
            )
            return f"{calls}. Keep the first line as it was given."
    return ""


def bare_signature(function: Callable[..., Any]) -> str:
    """The function's arguments without types: "(node, data, lr=0.1)"."""
    signature = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))
