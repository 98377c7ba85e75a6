"""What the labs' checks are written with: calls, comparisons and counts that name the mistake."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from ..cluster.model import Cluster
from ..history.history import History
from ..virtual.simulation import simulate
from .values import NO_RETURN, Wrong, number

Answer: TypeAlias = Callable[..., Any]  # a learner's function
USUAL = Cluster()


def call(answer: Answer, *args: Any) -> Any:
    """``answer(*args)`` on copies; raises ``Wrong`` if it wrote into one of its arguments."""
    copies = copy.deepcopy(args)
    result = answer(*copies)
    for name, before, after in zip(_names(answer, len(args)), args, copies, strict=True):
        if not _equal(before, after):
            raise Wrong(
                f"your function changes its argument {name}: whoever called it still needs it as it was"
            )
    return result


def _names(answer: Answer, count: int) -> list[str]:
    names = list(inspect.signature(answer).parameters)
    return (names + [f"number {place + 1}" for place in range(len(names), count)])[:count]


def _equal(before: Any, after: Any) -> bool:
    if isinstance(before, torch.Tensor):
        return before.shape == after.shape and torch.equal(before.nan_to_num(), after.nan_to_num())
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_equal, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_equal(before[k], after[k]) for k in before)
    both_nan = before != before and after != after
    return not isinstance(before, int | float | str | set) or before == after or both_nan


def same_shape(got: Any, expected: Any, what: str = "the result") -> None:
    """Raise ``Wrong`` unless ``got`` is a tensor of the shape of ``expected``, a tensor or a shape."""
    shape = tuple(expected.shape) if isinstance(expected, torch.Tensor) else tuple(expected)
    if got is None:
        raise Wrong(f"{what} {NO_RETURN}")
    if not isinstance(got, torch.Tensor):
        raise Wrong(f"{what} is a {type(got).__name__}: a tensor of shape {shape} was asked")
    if tuple(got.shape) != shape:
        raise Wrong(f"{what} has shape {tuple(got.shape)}: {shape} was asked")


def close(
    got: Any, expected: Any, what: str = "the result", *, rtol: float = 1e-5, atol: float = 1e-8
) -> None:
    """Raise ``Wrong`` unless ``got`` is ``expected`` to ``rtol``; numbers, or tensors of one shape.

    The sentence tells both, and by what factor they differ where it is one factor throughout.
    """
    theirs, ours = _tensor(got, expected, what), torch.as_tensor(expected).detach().double()
    if torch.allclose(theirs, ours, rtol=rtol, atol=atol, equal_nan=True):
        return
    if theirs.isnan().any() and not ours.isnan().any():
        raise Wrong(f"{what} has nan in it{_where(theirs.isnan())}")
    by = _by(times(theirs, ours), whole=ours.dim() == 0)
    if ours.dim() == 0:
        raise Wrong(f"{what} is {theirs.item():.6g}, and {ours.item():.6g} was asked{by}")
    worst = int(((theirs - ours).abs().nan_to_num(nan=float("inf"))).argmax())
    pair = f"{theirs.flatten()[worst].item():.6g} where {ours.flatten()[worst].item():.6g} was asked"
    raise Wrong(f"{what} differs{by}; the largest difference is at index {_index(worst, ours)}: {pair}")


def _by(factor: float | None, whole: bool) -> str:
    """Words for a factor; ``whole``: only for a whole one or its inverse, as any two numbers have some."""
    if factor is None or abs(factor - 1) < 1e-3:
        return ""
    if whole and not any(round(f) and abs(f - round(f)) < 1e-4 for f in (factor, 1 / factor)):
        return ""
    return f": {factor:.4g} times what was asked"


def _tensor(got: Any, expected: Any, what: str) -> torch.Tensor:
    """``got`` in double precision, of the shape of ``expected``."""
    shape = torch.as_tensor(expected).shape
    if not shape:
        return torch.tensor(number(got, what), dtype=torch.float64)
    same_shape(got, shape, what)
    return torch.as_tensor(got).detach().double()


def _index(flat: int, like: torch.Tensor) -> Any:
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), like.shape))
    return place[0] if len(place) == 1 else place


def _where(mask: torch.Tensor) -> str:
    return f", first at index {_index(int(mask.flatten().int().argmax()), mask)}" if mask.dim() else ""


def times(got: Any, expected: Any) -> float | None:
    """The one factor c with ``got`` = c · ``expected``, or None where there is none.

    For checks that know what a factor means: ``if times(got, right) == approx(len(nodes))``.
    """
    theirs, ours = (torch.as_tensor(value).detach().double().flatten() for value in (got, expected))
    if theirs.shape != ours.shape or not (norm := float(ours @ ours)):
        return None
    factor = float(theirs @ ours) / norm
    return factor if factor and torch.allclose(theirs, factor * ours, rtol=1e-4, atol=1e-9) else None


def on_nodes(worker: Callable[..., Any], nodes: int, *args: Any, cluster: Cluster = USUAL) -> History:
    """Run the learner's ``worker(node, *args)`` on simulated nodes; errors name rank and line."""
    return simulate(worker, nodes, cluster=cluster, args=args)


def no_more_traffic(got: History, expected: History, advice: str, spare_bytes: int = 0) -> None:
    """Raise ``Wrong`` if a rank sends more messages or bytes than the busiest one in ``expected``.

    ``spare_bytes``: so many more are fine, where a count may have any type.
    """
    for unit in ("messages", "bytes"):
        sent, enough = (max(getattr(run, f"{unit}_sent")) for run in (got, expected))
        if sent > enough + (spare_bytes if unit == "bytes" else 0):
            much = f"a rank sends {sent:,} {unit} where {enough:,} would do"
            raise Wrong(f"the numbers are right, but {much}: {advice}")


def same_traffic(got: History, expected: History, advice: str = "") -> None:
    """Raise ``Wrong`` unless every rank sent as many messages and bytes as in ``expected``."""
    for what, theirs, ours in (
        ("messages", got.messages_sent, expected.messages_sent),
        ("bytes", got.bytes_sent, expected.bytes_sent),
    ):
        for rank, (sent, asked) in enumerate(zip(theirs, ours, strict=True)):
            if sent != asked:
                more = f". {advice}" if advice else ""
                raise Wrong(f"rank {rank} sends {sent:,} {what} where {asked:,} do{more}")
