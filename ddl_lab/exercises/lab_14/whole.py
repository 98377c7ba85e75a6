"""A whole checkpoint."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import NO_RETURN
from ..values import whole as whole_number

COUNT, AROUND = 1000, 20_000  # numbers in theta, and in the tensor that it is a part of


def _checkpoint(theta, velocity, step):  # type: ignore[no-untyped-def]
    return {
        "theta": theta.clone(),  # of its own: a part of a tensor is saved with all of it
        "velocity": velocity.clone(),
        "next": step + 1,
        "chance": torch.get_rng_state(),
    }


def _check_whole(answer: Answer) -> str:
    for seed, step in ((3, 29), (4, 0)):
        torch.manual_seed(seed)
        torch.rand(seed)  # a state that no seed alone brings back
        theta, velocity = torch.randn(AROUND)[500 : 500 + COUNT], torch.randn(AROUND)[:COUNT]
        held, moving = theta.clone(), velocity.clone()
        before = torch.get_rng_state()
        state = _dict(answer(theta, velocity, step))
        if not torch.equal(torch.get_rng_state(), before):
            raise Wrong(
                "your function moves torch's random numbers on, or seeds them: only look at their state"
            )
        if not (torch.equal(theta, held) and torch.equal(velocity, moving)):
            raise Wrong("your function changes theta or velocity: the training still needs them")
        coming = torch.rand(8)
        theta.add_(1.0), velocity.mul_(0.5)  # the training goes on
        _tensors(_through_a_file(state), held, moving)
        _place(state["next"], step)
        _chance(state["chance"], before, coming)
    return "through a file, while the training goes on; its size; the random numbers that follow"


def _dict(state: Any) -> dict[str, Any]:
    if state is None:
        raise Wrong(f"your checkpoint {NO_RETURN}")
    if not isinstance(state, Mapping):
        raise Wrong(f"your checkpoint is a {type(state).__name__}: a dict was asked")
    if missing := [key for key in ("theta", "velocity", "next", "chance") if key not in state]:
        raise Wrong(f"your checkpoint has no {' and no '.join(missing)}: four parts make it whole")
    return dict(state)


def _is_a_part(value: Any) -> bool:
    return isinstance(value, Tensor) and value.untyped_storage().nbytes() > 2 * value.nbytes


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    if file.tell() > 8 * COUNT + 40_000:
        parts = " and ".join(name for name, part in state.items() if _is_a_part(part)) or "something in it"
        raise Wrong(
            f"your checkpoint takes {file.tell():,} bytes: {parts} is a part of a tensor of {AROUND:,} "
            f"numbers, and torch saves the whole one; .clone() has its {COUNT:,} alone"
        )
    file.seek(0)
    try:
        return dict(torch.load(file, weights_only=True))
    except Exception as error:
        of = re.search(r"GLOBAL (\S+)", str(error))
        why = f"{of[1]} is in it; tensors, numbers, text, lists and dicts may be" if of else f"{error!s:.120}"
        raise Wrong(f"torch.load(…, weights_only=True) refuses it: {why}") from None


def _tensors(state: dict[str, Any], theta: Tensor, velocity: Tensor) -> None:
    for name, right, later in (("theta", theta, theta + 1), ("velocity", velocity, velocity * 0.5)):
        got = torch.as_tensor(state[name])
        if got.shape != right.shape:
            raise Wrong(f"{name} has shape {tuple(got.shape)} in it, and {tuple(right.shape)} was asked")
        if torch.equal(got, later):
            raise Wrong(
                f"{name} is the training's own tensor: it went on, and so did your checkpoint; .clone() it"
            )
        if not torch.equal(got, right):
            raise Wrong(f"{name} isn't what it was when your function was called")


def _place(got: Any, step: int) -> None:
    number = whole_number(got, "next")
    if number == step:
        raise Wrong(f"next is {number}: that step is done, it would be made twice; {step + 1} comes next")
    if number != step + 1:
        raise Wrong(f"next is {number}: after step {step} comes {step + 1}")


def _chance(got: Any, before: Tensor, coming: Tensor) -> None:
    if not isinstance(got, Tensor) or got.dtype != torch.uint8 or got.shape != before.shape:
        what = f"a {got.dtype} of shape {tuple(got.shape)}" if isinstance(got, Tensor) else f"{got!r:.30}"
        raise Wrong(
            f"chance is {what}: torch's random state was asked, torch.get_rng_state(); a seed only tells "
            "where the numbers began, not how far they have got"
        )
    torch.set_rng_state(got.clone())
    if not torch.equal(torch.rand(8), coming):
        raise Wrong("from your chance other random numbers follow: take the state as it is now")


whole = Exercise(
    key="14.whole",
    title="A whole checkpoint",
    difficulty=2,
    minutes=8,
    reference=_checkpoint,
    check=_check_whole,
    hints=(
        "Section 2 has the four parts: where the parameters are, how fast they move, which step comes next, "
        "and the state of chance.",
        "The training goes on with the same tensors before anything is written: what must not follow it is "
        "a `.clone()`.",
        "`torch.get_rng_state()` is the state of chance; after step 29 comes step 30.",
    ),
)
