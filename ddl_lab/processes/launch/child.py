"""A worker process, from the fork to its end."""

from __future__ import annotations

import functools
import mmap
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from ...errors import failure_of
from ...history.recorder import Recorder
from ...node.context import seed_everything
from ...node.node import Node
from ...node.port import Port
from ...training.buffers import supply
from ...travel.capture import freeze_result, thaw
from ..plan import Plan
from ..transports.board import Board, Slot
from ..transports.endpoint import Endpoint
from ..transports.gloo import GlooEndpoint
from ..transports.pacing import die_in_time
from ..transports.shm import ShmEndpoint
from ..transports.staging import place
from ..transports.wire import Inbox, bar
from .channel import UNHEARD, Channel
from .client import SERVER
from .guardian import adopt_orphans, die_with
from .memory import attach, path_of
from .output import Stream, redirect

_FLUSH_S = 0.1  # records reach the caller at most this late; more often would take the workers time


class StreamingRecorder(Recorder):
    """A recorder that sends what it gathers to the caller several times a second."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._lock = threading.Lock()
        self._next_flush = 0.0

    def row(self, time_s: float, scalars: dict[str, Any]) -> None:
        with self._lock:
            super().row(time_s, scalars)
        self._maybe_flush(time_s)

    def span(
        self, kind: str, start: float, end: float, peer: int = -1, nbytes: int = 0, label: str = ""
    ) -> None:
        with self._lock:
            super().span(kind, start, end, peer, nbytes, label)
        self._maybe_flush(end)

    def _maybe_flush(self, now: float) -> None:
        if now >= self._next_flush:
            self._next_flush = now + _FLUSH_S
            self.flush()

    def flush(self, last: bool = False) -> None:
        """Send what has gathered, and at the ``last`` call the counts in any case; also a thread calls it."""
        with self._lock:
            if last or self.spans or self.metrics:
                self._channel.send("packet", self.drain())


def main(rank: int, spec: dict[str, Any], fds: list[int], server: int) -> None:
    """Run one rank, forked by the process ``server``; never returns."""
    nodes = spec["nodes"]
    memory_fd, payload_fd, store_fd = fds[:3]
    inboxes = fds[3 : 3 + 2 * nodes]  # reading and writing end of each rank's pipe
    outputs, controls = fds[3 + 2 * nodes : 3 + 3 * nodes], fds[3 + 3 * nodes :]
    for other in range(nodes):
        if other != rank:
            os.close(controls[other])
            os.close(outputs[other])
            os.close(inboxes[2 * other])
    channel = Channel(socket.socket(fileno=controls[rank]))
    die_with(server)
    adopt_orphans()
    SERVER.eager = False  # load_digits would start one more for each rank
    store = functools.partial(_store, spec["folder"], store_fd, nodes)
    streams = redirect(channel, outputs[rank])
    recorder = StreamingRecorder(channel)
    started, returned = threading.Event(), threading.Event()
    try:
        worker, args = _prepare(spec, payload_fd, rank)
        buffer, memory = attach(memory_fd)
        slot, board = Slot(buffer, rank), Board(buffer, nodes)
        inbox = Inbox(inboxes[2 * rank], inboxes[1::2], spec["spin"])
        _keep_forks_out(channel, inbox)
        slot.ready()
        endpoint = _endpoint(spec["plan"], rank, inbox, slot, board, memory, store)
        _listen(channel, recorder, streams, endpoint, started)
        channel.send("ready")
        started.wait()
        slot.running()
        die_in_time(endpoint.pacer, endpoint.origin, returned)
        outcome = _work(worker, args, endpoint, place(endpoint, spec["plan"], rank, store), recorder)
    except BaseException as error:  # whatever it is, the caller must hear of it
        outcome = ("failed", failure_of(error), time.monotonic())
    if os.getppid() != server:  # a process that the worker has forked and let run on
        os._exit(0)
    returned.set()
    for stream in streams:
        stream.finish()
    recorder.flush()
    channel.send(*outcome)
    threading.Event().wait()  # the caller ends the process when all ranks are done


def _keep_forks_out(channel: Channel, inbox: Inbox) -> None:
    """A process that the worker forks is no rank: it prints as a program would, and its calls fail."""

    def leave() -> None:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        inbox.leave()
        bar(channel.fileno(), os.O_RDONLY)

    os.register_at_fork(after_in_child=leave)


def _prepare(spec: dict[str, Any], payload_fd: int, rank: int) -> tuple[Any, tuple[Any, ...]]:
    os.environ.clear()
    os.environ.update(spec["environ"])
    sys.path[:] = spec["path"]
    if spec["cwd"]:
        os.chdir(spec["cwd"])
    torch.set_num_threads(1)
    with mmap.mmap(payload_fd, 0, access=mmap.ACCESS_READ) as payload:
        worker, args = thaw(payload[:])
    os.close(payload_fd)
    seed_everything(rank)
    return worker, args


def _endpoint(
    plan: Plan,
    rank: int,
    inbox: Inbox,
    slot: Slot,
    board: Board,
    memory: torch.Tensor,
    store: Callable[[], dist.Store],
) -> Endpoint:
    endpoint: Endpoint
    if plan.transport == "gloo":
        endpoint = GlooEndpoint(rank, plan.nodes, inbox, slot, board, store())
    else:
        endpoint = ShmEndpoint(rank, plan.nodes, inbox, slot, board, memory)
        supply(endpoint.arena.empty)
    if plan.cluster is not None:
        endpoint.pace(plan.cluster, plan.began_s)
    return endpoint


def _store(folder: str | None, fd: int, nodes: int) -> dist.Store:
    """Where the ranks find each other: a file without a name, or one in the run's private folder."""
    store = dist.FileStore(os.path.join(folder, "store") if folder else path_of(fd), nodes)
    store.set_timeout(timedelta(days=1))  # a rank that does not come is the supervisor's to find
    return store


def _listen(
    channel: Channel,
    recorder: StreamingRecorder,
    streams: list[Stream],
    endpoint: Endpoint,
    started: threading.Event,
) -> None:
    """Hear the caller in a thread of its own: the start, the stop, and that the caller is gone.

    In between send what the worker has recorded and printed last: it may compute for long meanwhile.
    """
    words = select.poll()
    words.register(channel, select.POLLIN)

    def next_message() -> Any:
        while not words.poll(1000 * _FLUSH_S):
            recorder.flush()
            for stream in streams:
                stream.look()
        return channel.receive()

    def listen() -> None:
        while (message := next_message()) is not None:
            if message[0] == "go":
                endpoint.origin = message[1]
                started.set()
            elif message[0] == "slow":
                endpoint.slow = message[1]
            elif message[0] == "stop":
                recorder.flush()
                os._exit(0)
        os._exit(UNHEARD)  # the caller is gone, or the worker has closed what it did not open

    threading.Thread(target=listen, daemon=True).start()


def _work(
    worker: Any, args: tuple[Any, ...], endpoint: Endpoint, port: Port, recorder: StreamingRecorder
) -> tuple[Any, ...]:
    node = Node(port, recorder, tuple(range(endpoint.nodes)))
    result = worker(node, *args)
    node._finish()
    ended, recorder.missed_s = endpoint.now(), endpoint.missed_s()
    data = freeze_result(result, endpoint.rank)
    recorder.flush(last=True)
    endpoint.close()
    return "returned", ended, data
