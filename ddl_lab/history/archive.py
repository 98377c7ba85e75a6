"""A history on disk: one .npz file of plain arrays and one JSON text, no pickles in either direction."""

from __future__ import annotations

import json
import os
import secrets
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from .recorder import SPAN_DTYPE, Packet, row_dtype

FORMAT = "ddl_lab history 1"


class _Encoder:
    """Turns results into JSON; tensors go to ``arrays`` and leave their name behind."""

    def __init__(self, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        self.arrays = arrays
        self.lost: list[str] = []

    def encode(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return {"value": value}
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, list | tuple):
            items = [self.encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
            return {type(value).__name__ if type(value) in (list, tuple) else "tuple": items}
        if isinstance(value, dict):
            pairs = [
                [self.encode(k, f"{path} key"), self.encode(v, f"{path}[{k!r:.40}]")]
                for k, v in value.items()
            ]
            return {"dict": pairs}
        self.lost.append(f"{path} (a {type(value).__name__})")
        return {"lost": type(value).__name__}

    def _tensor(self, tensor: torch.Tensor) -> dict[str, Any]:
        plain = tensor.detach().cpu().contiguous()
        name = f"tensor_{len(self.arrays)}"
        self.arrays[name] = plain.reshape(-1).view(torch.uint8).numpy()
        return {"tensor": name, "dtype": str(plain.dtype).split(".")[1], "shape": list(plain.shape)}


def _decode(node: dict[str, Any], arrays: Any) -> Any:
    if "value" in node:
        return node["value"]
    if "tensor" in node:
        raw = torch.from_numpy(arrays[node["tensor"]].copy())
        return raw.view(getattr(torch, node["dtype"])).reshape(node["shape"])
    if "dict" in node:
        return {_decode(k, arrays): _decode(v, arrays) for k, v in node["dict"]}
    if "lost" in node:
        return f"<a {node['lost']}, which could not be saved>"
    items = [_decode(item, arrays) for item in node.get("list", node.get("tuple", []))]
    return items if "list" in node else tuple(items)


def write(path: Path, about: dict[str, Any], packets: Sequence[Packet], results: Sequence[Any]) -> Path:
    """Write a history; the file appears whole or not at all. Warns of results that can't be kept."""
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    encoder = _Encoder(arrays)
    kept = [encoder.encode(value, f"results[{rank}]") for rank, value in enumerate(results)]
    nodes = []
    for rank, packet in enumerate(packets):
        arrays[f"spans_{rank}"] = np.frombuffer(packet.spans, np.uint8)
        for k, rows in enumerate(packet.metrics.values()):
            arrays[f"metrics_{rank}_{k}"] = np.frombuffer(rows, np.uint8)
        counts = [packet.bytes_sent, packet.messages_sent]
        names = [list(n) for n in packet.metrics]
        nodes.append(
            {"names": names, "labels": packet.labels, "counts": counts, "last": packet.last}
            | {"samples": packet.samples}
        )
    meta = about | {"format": FORMAT, "nodes": nodes, "results": kept}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    if encoder.lost:
        warnings.warn(
            f"{path.name} lacks {', '.join(encoder.lost)}: only numbers, text, tensors and lists, "
            "tuples, dicts of those can be saved. Everything else is in the file.",
            stacklevel=3,
        )
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write beside the target, then moved into place: a full disk leaves the old one alone.

    Raises ``FileNotFoundError`` and ``IsADirectoryError`` before anything is written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first.")
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less what the user's umask denies
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(name, path)
    except BaseException as error:
        name.unlink()
        if isinstance(error, OSError) and error.filename is None:  # a write: it names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def read(path: Path) -> tuple[dict[str, Any], list[Packet], list[Any]]:
    """Read what ``write`` wrote: (about, packets by rank, results)."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            meta = json.loads(arrays["meta"].tobytes())
            if meta["format"] != FORMAT:
                raise KeyError(meta["format"])
            packets = [_packet(arrays, rank, node) for rank, node in enumerate(meta["nodes"])]
            results = [_decode(node, arrays) for node in meta["results"]]
    except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(
            f"{path} is not a history saved by this package ({error}): save one with history.save()."
        ) from error
    return meta, packets, results


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
    return Packet(spans, metrics, tuple(node["labels"]), sent, messages, node["last"], samples)
