"""A history on disk: one .npz file of plain arrays and one JSON text, no pickles in either direction."""

from __future__ import annotations

import errno
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .files import whole_file
from .keeping import KEPT, Encoder, decode
from .recorder import SPAN_DTYPE, Packet, row_dtype

FORMAT = "ddl_lab history 1"

Loaded = tuple[dict[str, Any], list[Packet], list[Any]]

# What numpy, zip files, JSON and torch say of bytes that they can't make sense of.
_DAMAGED = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def write(path: Path, about: dict[str, Any], packets: Sequence[Packet], results: Sequence[Any]) -> Path:
    """Write a history, read it back, put it in place: it appears whole or not at all.

    Warns of results that can't be kept.
    """
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    encoder = Encoder(arrays)
    kept = [encoder.encode(value, f"results[{rank}]") for rank, value in enumerate(results)]
    nodes = []
    for rank, packet in enumerate(packets):
        arrays[f"spans_{rank}"] = np.frombuffer(packet.spans, np.uint8)
        arrays[f"sent_{rank}"] = np.frombuffer(packet.sent_at, np.uint8)
        for k, rows in enumerate(packet.metrics.values()):
            arrays[f"metrics_{rank}_{k}"] = np.frombuffer(rows, np.uint8)
        counts = [packet.bytes_sent, packet.messages_sent]
        names = [list(n) for n in packet.metrics]
        nodes.append(
            {"names": names, "labels": packet.labels, "counts": counts, "last": packet.last}
            | {"samples": packet.samples, "missed_s": packet.missed_s}
        )
    meta = about | {"format": FORMAT, "nodes": nodes, "results": kept}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
        file.seek(0)
        load(file)  # a file that can't be read back is not put in place
    if encoder.lost:
        warnings.warn(
            f"{path.name} lacks {', '.join(encoder.lost)}: {KEPT} can be saved. "
            "Everything else is in the file.",
            stacklevel=3,
        )
    return path


def read(path: Path) -> Loaded:
    """Read what ``write`` wrote: (about, packets by rank, results)."""
    try:
        with open(path, "rb") as file:
            return load(file)
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # that one is a seek to before the file's beginning
        raise ValueError(
            f"{path} is not a history saved by this package ({error}): save one with history.save()."
        ) from error


def load(file: BinaryIO) -> Loaded:
    """As ``read``, from an open file. Raises one of ``_DAMAGED`` where it holds anything else."""
    with np.load(file, allow_pickle=False) as arrays:
        meta = json.loads(arrays["meta"].tobytes())
        if meta["format"] != FORMAT:
            raise KeyError(meta["format"])
        packets = [_packet(arrays, rank, node) for rank, node in enumerate(meta["nodes"])]
        return meta, packets, [decode(node, arrays) for node in meta["results"]]


def _packet(arrays: Any, rank: int, node: dict[str, Any]) -> Packet:
    spans = arrays[f"spans_{rank}"].tobytes()
    np.frombuffer(spans, SPAN_DTYPE)  # a damaged length fails here, not in a later plot
    metrics = {}
    for k, names in enumerate(node["names"]):
        rows = arrays[f"metrics_{rank}_{k}"].tobytes()
        np.frombuffer(rows, row_dtype(tuple(names)))
        metrics[tuple(names)] = rows
    sent, messages = node["counts"]
    samples = node.get("samples", float("nan"))  # files of the first version do not know
    sent_at = arrays[f"sent_{rank}"].tobytes() if f"sent_{rank}" in arrays else b""  # nor do they this
    np.frombuffer(sent_at, "<i8")
    about = (sent, messages, node["last"], samples, sent_at, node.get("missed_s", 0.0))
    return Packet(spans, metrics, tuple(node["labels"]), *about)
