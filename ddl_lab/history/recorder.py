"""What one node records: spans and metrics as packed bytes, a million of either in tens of megabytes.

A span takes 31 bytes, a row of k metrics 20 + 8k. The same records fill both engines' histories: a process
streams them to its caller in packets, a simulated node's recorder is read where it stands.
"""

from __future__ import annotations

import numbers
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

COLLECTIVES = (  # in the order of saved files, which have their numbers: add at the end
    "broadcast", "all_reduce", "reduce_scatter", "all_gather", "barrier",
    "reduce", "gather", "scatter", "all_to_all",
)  # fmt: skip
KINDS = ("compute", "send", "recv", "wait", *COLLECTIVES)
_CODE = {kind: code for code, kind in enumerate(KINDS)}

_SPAN = struct.Struct("<BHiddq")
SPAN_DTYPE = np.dtype(
    [
        ("kind", "u1"),
        ("label", "<u2"),
        ("peer", "<i4"),
        ("start_s", "<f8"),
        ("end_s", "<f8"),
        ("bytes", "<i8"),
    ]
)
_ROW_HEAD = struct.Struct("<Id")
_COUNT = struct.Struct("<q")


def row_dtype(names: tuple[str, ...]) -> np.dtype[Any]:
    """The layout of metric rows with these names, in this order."""
    return np.dtype([("step", "<u4"), ("time_s", "<f8"), *((name, "<f8") for name in names)])


@dataclass(frozen=True)
class Packet:
    """What a node recorded since its last packet."""

    spans: bytes
    metrics: dict[tuple[str, ...], bytes]
    labels: tuple[str, ...]  # all labels so far: a span names one by its position
    bytes_sent: int
    messages_sent: int
    last: dict[str, float]
    samples: float = 0.0
    sent_at: bytes = b""  # by row of metrics: bytes sent until then, int64
    missed_s: float = 0.0


class Recorder:
    """The records of one node, in the order they ended."""

    def __init__(self) -> None:
        self.spans = bytearray()
        self.metrics: dict[tuple[str, ...], bytearray] = {}
        self.labels: list[str] = [""]
        self._label_codes = {"": 0}
        self.steps = 0
        self.bytes_sent = 0
        self.messages_sent = 0
        self.sent_at = bytearray()  # by row of metrics: bytes sent until then
        self.samples = 0.0  # computed in spans that say how many
        self.missed_s = 0.0  # of a paced run: what this machine took beyond the pace, known at the end
        self.last: dict[str, float] = {}  # the newest row
        self.failures_s: tuple[float, ...] = ()  # when attempts before the last one ended

    def span(
        self, kind: str, start: float, end: float, peer: int = -1, nbytes: int = 0, label: str = ""
    ) -> None:
        """Add a span: seconds on the node's clock, the peer's rank (-1: none), bytes this node moved."""
        code = self._label_codes.get(label)
        if code is None:
            code = self._new_label(label)
        self.spans += _SPAN.pack(_CODE[kind], code, peer, start, end, nbytes)

    def label_code(self, label: str) -> int:
        """The number by which spans name ``label``."""
        code = self._label_codes.get(label)
        return self._new_label(label) if code is None else code

    def _new_label(self, label: str) -> int:
        code = len(self.labels)
        if code >= 2**16:  # a label is a word from a small set; beyond it, spans go unlabelled
            return 0
        self.labels.append(label)
        self._label_codes[label] = code
        return code

    def sent(self, nbytes: int, messages: int) -> None:
        """Count what this node put on the network."""
        self.bytes_sent += nbytes
        self.messages_sent += messages

    def row(self, time_s: float, scalars: dict[str, Any]) -> None:
        """Add a row of metrics; the row's step is 0, 1, … in order."""
        names = tuple(scalars)
        values = [_number(name, value) for name, value in scalars.items()]
        rows = self.metrics.get(names)
        if rows is None:
            rows = self.metrics[names] = bytearray()
        rows += _ROW_HEAD.pack(self.steps, time_s) + struct.pack(f"<{len(values)}d", *values)
        self.sent_at += _COUNT.pack(self.bytes_sent)
        self.steps += 1
        self.last = dict(zip(names, values, strict=True))

    def drained(self) -> Packet:
        """All that is recorded, as one packet; the recorder keeps it."""
        metrics = {names: bytes(rows) for names, rows in list(self.metrics.items())}
        counts = (self.bytes_sent, self.messages_sent)
        about = (tuple(self.labels), *counts, self.last, self.samples, bytes(self.sent_at), self.missed_s)
        return Packet(bytes(self.spans), metrics, *about)

    def drain(self) -> Packet:
        """Take what has gathered since the last call."""
        packet = self.drained()
        self.spans, self.metrics, self.sent_at = bytearray(), {}, bytearray()
        return packet

    def absorb(self, packet: Packet) -> None:
        """Add a packet that the node of this recorder sent."""
        self.spans += packet.spans
        self.sent_at += packet.sent_at
        for names, rows in packet.metrics.items():
            self.metrics.setdefault(names, bytearray()).extend(rows)
            self.steps += len(rows) // row_dtype(names).itemsize
        self.labels = list(packet.labels)
        self.bytes_sent, self.messages_sent = packet.bytes_sent, packet.messages_sent
        self.last, self.samples, self.missed_s = packet.last, packet.samples, packet.missed_s

    def cut(self, at_s: float) -> None:
        """Leave out what ended after ``at_s``, as a failure ended the run then.

        What was sent stays counted: the bytes had left.
        """
        spans = self.span_array()
        self.spans = bytearray(spans[spans["end_s"] <= at_s].tobytes())
        kept = {names: rows[rows["time_s"] <= at_s] for names, rows in self.row_arrays().items()}
        self.metrics = {names: bytearray(rows.tobytes()) for names, rows in kept.items() if len(rows)}
        self.steps = sum(map(len, kept.values()))
        self.sent_at = self.sent_at[: self.steps * _COUNT.size]
        newest = [(names, rows[-1]) for names, rows in kept.items() if len(rows)]
        self.last = {}
        if newest:
            names, row = max(newest, key=lambda item: int(item[1]["step"]))
            self.last = {name: float(row[name]) for name in names}

    @property
    def size(self) -> int:
        """Bytes recorded so far; it grows with every record."""
        return len(self.spans) + sum(len(rows) for rows in self.metrics.values())

    def span_array(self) -> np.ndarray[Any, Any]:
        """All spans so far, dtype ``SPAN_DTYPE`` (a copy: the recorder may go on growing)."""
        return np.frombuffer(bytes(self.spans), SPAN_DTYPE)

    def sent_array(self) -> np.ndarray[Any, Any]:
        """Bytes that this node had sent at each row of metrics so far, int64 (rows,).

        Empty where a file was saved before they were counted.
        """
        return np.frombuffer(bytes(self.sent_at), "<i8")

    def row_arrays(self) -> dict[tuple[str, ...], np.ndarray[Any, Any]]:
        """All metric rows so far, by their names (copies)."""
        items = list(self.metrics.items())
        return {names: np.frombuffer(bytes(rows), row_dtype(names)) for names, rows in items}


def _number(name: str, value: Any) -> float:
    """``value`` as a float; a 0-d tensor is read, anything else is refused in words."""
    if isinstance(value, torch.Tensor):
        if value.ndim or value.is_complex():
            raise ValueError(
                f"record({name}=…) got a tensor of shape {tuple(value.shape)}, dtype {value.dtype}; "
                "it takes single real numbers: use .mean(), .item() or one element."
            )
        return float(value.item())
    if isinstance(value, numbers.Real | np.bool_):
        return float(value)
    kind = type(value).__name__
    raise TypeError(f"record({name}={value!r:.40}) got a {kind}; it takes numbers and 0-d tensors.")
