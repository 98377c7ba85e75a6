"""Checkpoints of a contest's nodes: a file a rank, in a folder that lasts as long as the try."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ...history.files import whole_file
from ...node.node import Node

DISK_BYTES_PER_S = 200e6


class Checkpoints:
    """The files in ``folder``; None: outside of a try, where nothing is kept."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder

    def save(self, node: Node, rank: int, content: dict[str, Any]) -> None:
        """Write the checkpoint of ``rank``, once its time on the node's clock is over."""
        path = self._path(rank, "save")
        stream = io.BytesIO()
        try:
            torch.save(content, stream)
            _read(stream.getvalue())
        except Exception as error:
            raise ValueError(
                "task.save takes tensors, numbers, text, and lists or dicts of those, by name, as in "
                f"task.save(node, model=lab.parameters(model), step=step); here: {error!s:.120}"
            ) from None
        data = stream.getvalue()
        with node.compute(seconds=len(data) / DISK_BYTES_PER_S):
            pass  # a node that dies in this span has written nothing
        with whole_file(path) as file:
            file.write(data)

    def restore(self, node: Node, rank: int) -> dict[str, Any] | None:
        """What ``rank`` saved last, or None."""
        path = self._path(rank, "restore")
        if not path.exists():
            return None
        data = path.read_bytes()
        with node.compute(seconds=len(data) / DISK_BYTES_PER_S):
            return _read(data)

    def _path(self, rank: int, call: str) -> Path:
        if self._folder is None:
            raise RuntimeError(
                f"task.{call} works in task.practice(worker) and task.score(worker): run the worker by those."
            )
        return Path(self._folder) / f"{rank}.pt"


def _read(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
    return found
