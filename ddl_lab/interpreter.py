"""``Interpreter``: a Python beside the notebook in which a few lines run as 1 to n fresh processes.

It is for programs that are wrong: whatever they do to their process, or wait for, ends with it. torch is
loaded once, in a process that never runs an operation; every try forks its ranks from there.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FILE = "<lines>"
GIVEN = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "WORLD_SIZE")  # what launchers set
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"  # gloo listens there and nowhere else


class Tried:
    """What became of the lines, by rank; shown as text.

    ``printed``: what each rank printed; ``errors``: the last line of its traceback, or ""; ``results``:
    the tensor that it called ``result``, or None.
    """

    def __init__(self, printed: list[str], errors: list[str], places: list[str], results: list[Any]) -> None:
        self.printed, self.errors, self.results, self._places = printed, errors, results, places

    def __repr__(self) -> str:
        said = [self._of(rank) for rank in range(len(self.errors))]
        if len(said) > 1 and len(set(said)) == 1:
            return f"all {len(said)} ranks: {said[0]}"
        if len(said) == 1:
            return said[0]
        return "\n".join(f"rank {rank}: {text}" for rank, text in enumerate(said))

    def _of(self, rank: int) -> str:
        parts = [self.printed[rank].rstrip()]
        if self.errors[rank]:
            parts.append(f"{self._places[rank]}\n    {self.errors[rank]}".lstrip("\n "))
        return "\n".join(part for part in parts if part) or "ran to its end, and printed nothing"


class Interpreter:
    """A Python of its own: ``python(lines)`` runs them there and tells what became of them.

    The lines find the names ``rank``, ``world_size`` and ``meeting``, the address of a file through which
    the ranks can find each other: as an ``init_method`` of torch.distributed. Ends with this process.
    """

    def __init__(self) -> None:
        """Return at once; torch loads while you read on."""
        self._start()

    def __call__(self, lines: str, ranks: int = 1, timeout_s: float = 60.0) -> Tried:
        """Run ``lines`` as ``ranks`` processes; those that go on after ``timeout_s`` are ended.

        Raises ``SyntaxError`` for lines that are no Python.
        """
        compile(lines, FILE, "exec")
        if self._process.poll() is not None:
            self._start()
        with tempfile.TemporaryDirectory() as folder:  # its own: no other user of the host can join
            try:
                self._ask({"lines": lines, "ranks": ranks, "timeout_s": timeout_s, "folder": folder})
            except BaseException:
                self.close()
                raise
            return _read(Path(folder), ranks, lines)

    def close(self) -> None:
        """End it, and whatever it runs."""
        self._end()

    def _start(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = {name: value for name, value in os.environ.items() if name not in GIVEN}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from ddl_lab.interpreter import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**environment, "PYTHONPATH": paths, "GLOO_SOCKET_IFNAME": LOOPBACK},
            start_new_session=True,  # the Stop button's SIGINT is the notebook's, and we end it then
        )
        self._end = weakref.finalize(self, _end, self._process)

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError("the interpreter beside the notebook has ended: run the cell again")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def _read(folder: Path, ranks: int, lines: str) -> Tried:
    """What the ranks have left in ``folder``."""
    source, printed, errors, places, results = lines.splitlines(), [], [], [], []
    for rank in range(ranks):
        printed.append((folder / f"{rank}.out").read_text(errors="replace"))
        error, line = json.loads((folder / f"{rank}.json").read_text())
        errors.append(error)
        places.append(source[line - 1].strip() if line else "")
        kept = folder / f"{rank}.pt"
        results.append(_loaded(kept) if kept.exists() else None)
    return Tried(printed, errors, places, results)


def _loaded(path: Path) -> Any:
    import torch

    return torch.load(path, weights_only=True)


# In the process beside the notebook


def serve() -> None:
    """Load torch, which takes seconds, then fork the ranks of every request on stdin until it closes."""
    import torch.distributed
    import torch.optim
    import torch.utils.data  # noqa: F401

    from .processes.launch.client import SERVER
    from .processes.launch.forkserver import preload

    __import__("torch._dynamo")  # the first optimiser loads it: here once, rather than in each rank
    preload()  # one thread, and the digits
    SERVER.eager = False  # what a rank calls is torch.distributed: it forks no workers of its own
    folder = ""
    try:
        for line in sys.stdin:
            request = json.loads(line)
            folder = request["folder"]
            _try(**request)
            print("done", flush=True)
    finally:  # who asked is gone, maybe killed: then the folder is there still
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(os.getpid(), signal.SIGKILL)  # with what the lines have forked


def _try(lines: str, ranks: int, timeout_s: float, folder: str) -> None:
    """Run all ranks; none ends before all are done, as whoever ends early takes connections along."""
    held, gate = os.pipe()
    pids = [_forked(lines, rank, ranks, Path(folder), (held, gate)) for rank in range(ranks)]
    notes = [Path(folder) / f"{rank}.json" for rank in range(ranks)]
    running, ends_at = dict(zip(pids, notes, strict=True)), time.monotonic() + timeout_s
    while not all(note.exists() for note in notes) and time.monotonic() < ends_at:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            _note(
                running.pop(pid), f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            )
        elif select.select([sys.stdin], [], [], 0.005)[0]:  # from who waits for us only its end comes
            break
    for pid, note in running.items():
        if not note.exists():
            os.kill(pid, signal.SIGKILL)
            _note(note, f"still waiting after {timeout_s:g} s, and ended from outside")
    os.close(gate)  # opens it: the others leave
    os.close(held)
    for pid in running:
        os.waitpid(pid, 0)


def _note(path: Path, error: str, line: int = 0) -> None:
    """What became of a rank: complete as soon as it is there."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps([error, line]))
    draft.rename(path)


def _forked(lines: str, rank: int, ranks: int, folder: Path, gate: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.close(gate[1])
    os.dup2(os.open(folder / f"{rank}.out", os.O_CREAT | os.O_WRONLY, 0o600), 1)
    given = {"rank": rank, "world_size": ranks, "meeting": f"file://{folder}/meeting"}
    error, line = _run(lambda: exec(compile(lines, FILE, "exec"), given))
    if not error and "result" in given:
        import torch

        torch.save(given["result"], folder / f"{rank}.pt")
    sys.stdout.flush()
    _note(folder / f"{rank}.json", error, line)
    os.read(gate[0], 1)  # nothing comes: it ends when the gate opens
    os._exit(0)  # at once: gloo's clean-up at exit aborts now and then


def _run(task: Callable[[], None]) -> tuple[str, int]:
    """The last line of the traceback and the line of ours that it comes from; "", 0 where all goes well."""
    try:
        task()
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == FILE]
        return _told(error), (frames[-1].lineno or 0) if frames else 0
    return "", 0


def _told(error: BaseException) -> str:
    first: Sequence[str] = str(error).splitlines()
    words = re.sub(r" \(/\S*\)|\[/\S*\] ", "", first[0]) if first else ""  # where torch lies is no news
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
