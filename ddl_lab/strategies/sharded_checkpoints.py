"""Checkpoints in parts: every rank writes its own file, and one rename makes all of them count at once.

States that are sharded (lab 09) are too large to gather. Files that each appear whole don't make a whole
checkpoint: between the first rank's and the last one's a run can die, and leave parts of two steps.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ..node.node import Node
from .checkpoints import read_whole, write_whole


def write_together(node: Node, folder: Path, step: int, part: dict[str, Any]) -> None:
    """Write each rank's ``part`` of the checkpoint of ``step`` into ``folder``; all count, or none.

    1. An empty folder under a name that doesn't count; what a dead attempt left there goes. 2. Each rank's
    own file. 3. All are there. 4. Rank 0 gives the folder its name.
    """
    coming = folder / f"step-{step:06}.coming"
    if node.rank == 0:
        shutil.rmtree(coming, ignore_errors=True)  # 1.
        coming.mkdir()
    node.barrier()
    write_whole(coming / f"rank-{node.rank}.pt", part)  # 2.
    node.barrier()  # 3.
    if node.rank == 0:
        os.replace(coming, whole(folder, step))  # 4.
    node.barrier()


def whole(folder: Path, step: int) -> Path:
    """Where the whole checkpoint of ``step`` lies."""
    return folder / f"step-{step:06}"


def newest(folder: Path) -> int | None:
    """The step of the newest whole checkpoint in ``folder``; None: there is none."""
    steps = [int(path.name[5:]) for path in folder.glob("step-*") if path.name[5:].isdigit()]
    return max(steps, default=None)


def read_together(node: Node, folder: Path, step: int) -> dict[str, Any]:
    """This rank's part of the whole checkpoint of ``step``. Raises as ``read_whole`` does, and
    ``ValueError`` where another number of ranks wrote it: parts have to be cut anew then."""
    written = len(list(whole(folder, step).glob("rank-*.pt")))
    if written != node.world_size:
        raise ValueError(f"step {step} was saved by {written} ranks, and here are {node.world_size}.")
    return read_whole(whole(folder, step) / f"rank-{node.rank}.pt")
