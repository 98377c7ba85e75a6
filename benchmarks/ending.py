"""How soon a run is over: after Stop, after an error, after a deadlock. The tests only say that it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

import ddl_lab as lab
from ddl_lab.node.node import Node

from .table import Row, medians

NODES = 4
PROMISED_S = 1.0  # README.md: Stop ends all processes of a run within a second
AGES_S = 600.0


def stubborn(node: Node) -> None:
    """One rank asks not to be ended; all go on for ever."""
    if node.rank == 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        node.barrier()
        node.record(at=node.now())


def fails(node: Node) -> None:
    """Rank 1 raises, the others hear nothing; the message is when it did."""
    node.barrier()
    if node.rank == 1:
        raise ValueError(time.monotonic())
    time.sleep(AGES_S)


def waits_in_vain(node: Node) -> None:
    """Ranks 1 and 2 wait for each other, the others compute; the row is when the first of them began to."""
    if node.rank not in (1, 2):
        time.sleep(AGES_S)
    node.record(at=time.monotonic())
    node.send(torch.ones(2), 3 - node.rank)


def stop(transport: str) -> float:
    """Seconds from Ctrl-C, half a second after the call, until ``run`` has raised: all processes are gone."""
    pressed = []

    def press() -> None:
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.5, press).start()
    _raised(KeyboardInterrupt, stubborn, transport)
    return time.monotonic() - pressed[0]


def error(transport: str) -> float:
    """Seconds from the raise in a worker until ``run`` has raised."""
    told = str(_raised(lab.WorkerError, fails, transport))
    return time.monotonic() - float(told.split("ValueError: ")[1].split()[0])


def deadlock(transport: str) -> float:
    """Seconds from the later of two calls that can never go on until ``run`` has raised."""
    found = _raised(lab.DeadlockError, waits_in_vain, transport)
    assert isinstance(found, lab.DeadlockError) and found.history is not None
    return float(time.monotonic() - found.history.metrics["at"].max())


def _raised(kind: type[BaseException], worker: Callable[[Node], None], transport: str) -> BaseException:
    try:
        lab.run(worker, NODES, transport=transport, progress=False)
    except kind as raised:
        return raised
    raise AssertionError(f"{worker.__name__} ended without {kind.__name__}")


def rows() -> Iterator[Row]:
    """The slower transport's median against what README.md promises."""
    lab.run(lambda node: None, 1, progress=False)  # the fork server is warm
    for what, measure in [
        (f"Stop to the end of {NODES} processes, one of them stubborn", stop),
        (f"an error of a worker to that of run, {NODES} processes", error),
        (f"a deadlock of 2 of {NODES} processes to its report", deadlock),
    ]:
        slower = max(medians({name: partial(measure, name) for name in ("shm", "gloo")}).values())
        promised = f"{PROMISED_S:g} s promised"
        yield Row(what, f"{slower:.2f} s", promised, slower / PROMISED_S, 1.0, at_most=True)
