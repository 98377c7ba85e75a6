"""That as many processes train as were asked: the check that Accelerate leaves to you."""

from __future__ import annotations

import re
from types import SimpleNamespace

from ..helpers import Answer, Wrong
from ..machine import Exercise


def _check_world(accelerator, asked):  # type: ignore[no-untyped-def]
    if accelerator.num_processes != asked:
        raise RuntimeError(f"{asked} processes were asked, and {accelerator.num_processes} take part")


def _raised(answer: Answer, index: int, world: int, asked: int) -> str | None:
    """What the learner's function raises in process ``index`` of ``world``; None: nothing."""
    accelerator = SimpleNamespace(
        num_processes=world, process_index=index, local_process_index=index, is_main_process=index == 0
    )
    accelerator.print = lambda *text: None
    try:
        answer(accelerator, asked)
    except Exception as error:
        slip = isinstance(error, AttributeError | NameError | TypeError)
        if slip and not _names_both(str(error), world, asked):
            raise  # told with its line
        return str(error)
    except SystemExit as error:
        return str(error.code)
    return None


def _names_both(said: str, world: int, asked: int) -> bool:
    return {str(world), str(asked)} <= set(re.findall("[0-9]+", said))


def _check_took_part(answer: Answer) -> str:
    for index, world in ((0, 1), (0, 4), (3, 4), (5, 6)):
        if (said := _raised(answer, index, world, world)) is not None:
            raise Wrong(
                f"{world} of {world} take part, and process {index} raises {said!r}: all is well there"
            )
    for index, world, asked in ((0, 1, 4), (0, 2, 4), (1, 2, 4), (0, 8, 4), (7, 8, 4)):
        said = _raised(answer, index, world, asked)
        if said is None:
            raise Wrong(_missed(answer, index, world, asked))
        if not _names_both(said, world, asked):
            raise Wrong(
                f"you raise {said!r}: name both numbers, {asked} asked and {world} that take part, or "
                "whoever reads the log at night has to guess"
            )
    return "1, 4 and 6 processes as asked; 1, 2 and 8 where 4 were asked, in every process"


def _missed(answer: Answer, index: int, world: int, asked: int) -> str:
    told = f"{asked} were asked, {world} take part, and process {index} goes on"
    if index and _raised(answer, 0, world, asked) is not None:
        return f"{told}: only the main process checks, and the others train on until they wait for it in vain"
    if world > asked:
        return f"{told}: more than were asked are wrong, too, for the mean is taken over another number"
    if world > 1:
        return f"{told}: a single process isn't the only way to be too few"
    return f"{told}: raise an error there; a result that nobody looks at, or a warning, is no check"


took_part = Exercise(
    key="17.took_part",
    title="That all took part",
    difficulty=1,
    minutes=5,
    reference=_check_world,
    check=_check_took_part,
    hints=(
        "How many processes there are is `accelerator.num_processes`, the same in all of them.",
        "Raise in every process: where it differs from `asked`, not only where it is 1.",
        '`raise RuntimeError(f"{asked} processes were asked, and … take part")`.',
    ),
)
