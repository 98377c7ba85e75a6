"""The digits, held once in a process and shared read-only by its nodes.

``load_digits`` checks data/digits.npz, splits it and keeps one copy in memory; its tensors refuse
to be written to (travel/shared.py), travel to other processes by name, and are shared out by `batches`
(shards.py).
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..travel import shared
from ..travel.shared import SharedTensor, shared_name
from . import course
from .parts import Part, row_numbers
from .shards import batches

__all__ = [
    "DataError",
    "Digits",
    "SharedTensor",
    "Split",
    "batches",
    "load_digits",
    "load_small_digits",
    "rewrap",
    "shared_name",
    "shared_storage",
]

DIGITS_SHA256 = "63818dc867dd7ee1181196c2588842f34debadc19cc80dc16b1dc1401cbb62c4"
SMALL_SHA256 = "aa64e930663d6e9271e1566601d65e70236553f73ec6cb041a4ab37167cf1d04"
TEST_PER_CLASS, SMALL_TEST_PER_CLASS = 100, 80
SPLIT_SEED = 0


class DataError(ValueError):
    """A data file is missing or damaged; the message names the file and the mend."""


@dataclass(frozen=True, repr=False)
class Split:
    """Samples of one purpose. n is their number, ``len(split)``.

    x: float32 (n, 784), pixels from 0 (paper) to 1 (ink). labels: int64 (n,), the digit. y, what is to be
    found: float32 (n, 1), 1.0 for an odd digit; of ten classes the labels. All three are shared and
    read-only (`SharedTensor`).
    """

    x: torch.Tensor
    y: torch.Tensor
    labels: torch.Tensor
    name: str

    def part(self, rows: Any) -> Part:
        """Some rows: a slice, whole numbers (n,), or a condition, as in ``train.part(train.labels < 5)``."""
        return Part(self, row_numbers(rows, len(self)))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} samples>"


@dataclass(frozen=True)
class Digits:
    """5,000 MNIST digits: 4,000 to train on, 1,000 to test on, each digit equally often in both."""

    train: Split
    test: Split


_loading = threading.RLock()


def load_digits(classes: int = 2) -> Digits:
    """Return the digits; the first call of a process reads them, later calls share that copy.

    ``classes``: 2, odd or even; 10, which digit: then y is the labels, int64 (n,).

    The file is data/digits.npz beside the package, or digits.npz in the folder that the
    environment variable DDL_LAB_DATA names. Raises DataError when it is missing or damaged, ValueError for
    other classes.
    """
    if classes not in (2, 10):
        raise ValueError(f"load_digits: classes={classes!r}: take 2 (odd or even) or 10 (which digit)")
    with _loading:
        return _digits() if classes == 2 else _of_ten_classes()


@functools.cache
def _of_ten_classes() -> Digits:
    digits = _digits()
    return Digits(*(replace(split, y=split.labels) for split in (digits.train, digits.test)))


@functools.cache
def _digits() -> Digits:
    images, labels = _read(_folder() / "digits.npz")
    # RandomState: numpy promises never to change its stream, so the split is the same everywhere
    random = np.random.RandomState(SPLIT_SEED)
    of_class = [random.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    for_test = np.concatenate([rows[:TEST_PER_CLASS] for rows in of_class])
    for_train = np.concatenate([rows[TEST_PER_CLASS:] for rows in of_class])
    return Digits(
        train=_split("train", images, labels, random.permutation(for_train)),
        test=_split("test", images, labels, random.permutation(for_test)),
    )


def _folder() -> Path:
    return Path(os.environ.get("DDL_LAB_DATA") or course.folder("data"))


@functools.cache
def load_small_digits() -> Digits:
    """Return other people's digits, to transfer to: 1,797 of 8 x 8 grey values, made as large as MNIST's.

    997 to train on and 800 to test on, 80 a class. x: float32 (n, 784), scaled up to 20 x 20 and framed to
    28 x 28, as MNIST's are; y and labels: int64 (n,), which digit. Ordinary tensors, which travel by value.
    The file is data/small_digits.npz; raises DataError as ``load_digits`` does.
    """
    images, labels = _read(_folder() / "small_digits.npz", SMALL_SHA256)
    pixels = torch.from_numpy(images).float()[:, None] / 16  # (n, 1, 8, 8)
    larger = torch.nn.functional.interpolate(pixels, size=(20, 20), mode="bilinear")
    x = torch.nn.functional.pad(larger, (4, 4, 4, 4)).reshape(len(labels), -1)
    y = torch.from_numpy(labels.astype(np.int64))
    random = np.random.RandomState(SPLIT_SEED)
    order = random.permutation(len(labels))
    of_class = [order[labels[order] == digit] for digit in range(10)]
    for_test = np.concatenate([rows[:SMALL_TEST_PER_CLASS] for rows in of_class])
    for_train = random.permutation(np.concatenate([rows[SMALL_TEST_PER_CLASS:] for rows in of_class]))
    return Digits(
        *(
            Split(x[rows], y[rows], y[rows], f"small_digits.{name}")
            for name, rows in (("train", for_train), ("test", for_test))
        )
    )


def _split(name: str, images: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Split:
    pixels = images[rows].reshape(len(rows), -1).astype(np.float32) / np.float32(255)
    digits = labels[rows].astype(np.int64)
    odd = (digits % 2).astype(np.float32)[:, None]
    return Split(
        x=shared.share(f"digits/{name}.x", pixels, rewrap, shared_storage),
        y=shared.share(f"digits/{name}.y", odd, rewrap, shared_storage),
        labels=shared.share(f"digits/{name}.labels", digits, rewrap, shared_storage),
        name=f"digits.{name}",
    )


def _read(path: Path, expected: str = DIGITS_SHA256) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (n, side, side) and labels uint8 (n,), once the SHA-256 is right."""
    mend = (
        f"{course.mend(f'data/{path.name}')}, make it anew as data/README.md "
        "says, or set DDL_LAB_DATA to the folder that holds it"
    )
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is missing: {mend}") from None
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): {mend}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(
            f"{path} is damaged: {len(content)} bytes with SHA-256 {found}, expected {expected}: {mend}"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def shared_storage(name: str) -> torch.UntypedStorage:
    """Return this process's storage called ``name``; loads the data set when it must.

    Raises DataError for a name that no data set has, and as `load_digits` does.
    """
    return _owner(name).untyped_storage()


def rewrap(
    name: str, size: tuple[int, ...], stride: tuple[int, ...], offset: int, dtype: torch.dtype
) -> torch.Tensor:
    """Rebuild the view of the shared storage ``name`` that another process took apart.

    ``stride`` and ``offset`` count elements.
    """
    return shared.view(_owner(name), size, stride, offset, dtype)


def _owner(name: str) -> torch.Tensor:
    load_digits()
    owner = shared.owner(name)
    if owner is None:
        raise DataError(f"there is no shared data called {name!r}, only digits/train.x and such")
    return owner
