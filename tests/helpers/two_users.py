"""A script for test_two_users.py: two users of one server, and an intruder. Run as root.

Everything is imported first and the user ids are changed then, because this interpreter may lie where
other users can't read it; so each user's fork server is a fork of this process. Prints what it saw as JSON.
"""

import contextlib
import ctypes
import encodings.idna  # noqa: F401  (sockets load it late)
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas  # noqa: F401
import psutil
import torch
import torch.fx.experimental.symbolic_shapes  # the fork server loads it

import ddl_lab as lab
from ddl_lab.processes.launch import child, forkserver  # noqa: F401  (loaded before the ids change)
from ddl_lab.processes.launch.client import SERVER

USERS = {"ada": 64_001, "bob": 64_002}
INTRUDER = 65_534
SECRET = "what-ada-captured"
PATIENCE_S = 40


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: /proc is as for a program that this user has started


class ForkedServer:
    """Stands in for ``subprocess.Popen``: this process has loaded what the command would load."""

    def __init__(self, command, *, pass_fds, start_new_session, **_):
        self.args = command
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            keep = pass_fds[0]
            os.closerange(3, keep)
            os.closerange(keep + 1, 1000)
            sys.argv[1:] = [str(keep)]
            try:
                forkserver.main()
            finally:
                os._exit(0)

    def poll(self):
        return os.waitpid(self.pid, os.WNOHANG)[0] or None

    def wait(self, timeout=None):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)


def user(name, folder, tell):
    """A user: twenty short runs, one that is refused, then one that goes on until its user ends."""
    become(USERS[name])
    os.environ["HOME"] = str(folder / name)
    subprocess.Popen = ForkedServer
    if name == "bob":
        del os.memfd_create  # his system has no files without a name, as macOS
    mine = torch.full((1000,), float(USERS[name]))
    captured = SECRET

    def short(node):
        total = mine.clone()
        node.all_reduce(total)
        return total[0].item(), os.getuid(), len(captured)

    def long(node):
        kept = captured  # noqa: F841
        while True:
            node.all_reduce(mine.clone())
            node.record(at=node.now())

    runs = [lab.run(short, 2, transport=("shm", "gloo")[k % 2], progress=False).results for k in range(20)]
    tell(name, "right", runs == [[(2.0 * USERS[name], USERS[name], len(SECRET))] * 2] * 20)
    limit = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.prlimit(SERVER.pid, resource.RLIMIT_NPROC, (2, limit[1]))
    try:
        lab.run(short, 4, progress=False)
    except lab.LabError as error:
        tell(name, "refused", str(error))
    resource.prlimit(SERVER.pid, resource.RLIMIT_NPROC, limit)
    run = lab.start(long, 2, transport="gloo", progress=False)
    while len(run.history.metrics) < 10:
        time.sleep(0.01)
    tell(name, "pids", [SERVER.guardian, SERVER.pid, *run.pids])
    while not (folder / "end").exists():
        rows = len(run.history.metrics)
        tell(name, "rows", rows)
        time.sleep(0.05)
    os._exit(0)


def intrude(pids, temporary, tell):
    """Try to read, to join and to end what belongs to the process ``pids`` of another user."""
    ports = sorted(listening(pids))
    become(INTRUDER)
    paths = [f"{entry}{inside}" for entry in temporary.iterdir() for inside in ("", "/store")]
    for pid in pids:
        paths += [f"/proc/{pid}/{name}" for name in ("mem", "environ", "maps", "fd", "cwd", "root")]
        paths += [f"/proc/{pid}/fd/{fd}" for fd in range(40)]
    assert len(paths) > 100 and opens("/proc/self/maps"), "it tries, and would see what it could open"
    opened = [path for path in paths if opens(path)]
    ended = [pid for pid in pids if signals(pid)]
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
    received = [len(knock(*address)) for address in ports]
    tell("intruder", "opened", opened)
    tell("intruder", "ended", ended)
    tell("intruder", "secrets", [c for c in commands if SECRET in c])
    tell("intruder", "ports", ports)
    tell("intruder", "received", received)
    os._exit(0)


def listening(pids):
    found = set()
    for pid in pids:
        for connection in psutil.Process(pid).net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.add((connection.laddr.ip, connection.laddr.port))
    return found


def opens(path):
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDONLY))
        return True
    with contextlib.suppress(OSError):
        os.listdir(path)
        return True
    return False


def signals(pid):
    with contextlib.suppress(PermissionError):
        os.kill(pid, signal.SIGTERM)
        return True
    return False


def knock(host, port):
    """What a listening rank says to somebody who claims to be its peer."""
    said = b""
    for number in range(4):
        with contextlib.suppress(OSError), socket.create_connection((host, port), 2) as sock:
            sock.settimeout(0.3)
            sock.sendall(number.to_bytes(8, "little") + b"x" * 64)
            said += sock.recv(4096)
    return said


class Notes:
    """What each of the processes has seen, in files of its own."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, who, what, value):
        path = self.folder / f"{who}-{what}.json"
        path.with_suffix(".new").write_text(json.dumps(value))
        path.with_suffix(".new").rename(path)

    def get(self, who, what):
        path = self.folder / f"{who}-{what}.json"
        end = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert time.monotonic() < end, path
            time.sleep(0.01)
        return json.loads(path.read_text())


def main():
    folder, temporary = Path(sys.argv[1]), Path(os.environ["TMPDIR"])
    notes = Notes(folder)
    torch.set_num_threads(1)
    lab.load_digits()
    SERVER.close()
    users = {}
    for name in USERS:
        users[name] = os.fork()
        if users[name] == 0:
            user(name, folder, notes)
    pids = {name: notes.get(name, "pids") for name in USERS}
    owned = [[p.name for p in temporary.iterdir() if p.stat().st_uid == uid] for uid in USERS.values()]
    notes("all", "temporary", owned)
    modes = sorted({oct(p.stat().st_mode & 0o777) for p in temporary.iterdir()})
    notes("all", "modes", modes)
    intruder = os.fork()
    if intruder == 0:
        intrude([*pids["ada"], users["ada"]], temporary, notes)
    os.waitpid(intruder, 0)
    before = notes.get("ada", "rows")
    end = time.monotonic() + PATIENCE_S
    while notes.get("ada", "rows") <= before and time.monotonic() < end:
        time.sleep(0.02)
    notes("ada", "unmoved", notes.get("ada", "rows") > before)
    os.kill(users["ada"], signal.SIGKILL)  # her kernel ends
    os.waitpid(users["ada"], 0)
    while any(psutil.pid_exists(pid) for pid in pids["ada"]) and time.monotonic() < end:
        time.sleep(0.02)
    notes("ada", "left", [pid for pid in pids["ada"] if psutil.pid_exists(pid)])
    before = notes.get("bob", "rows")
    while notes.get("bob", "rows") <= before and time.monotonic() < end:
        time.sleep(0.02)
    notes("bob", "unmoved", notes.get("bob", "rows") > before)
    (folder / "end").touch()
    os.waitpid(users["bob"], 0)
    while list(temporary.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    notes("all", "left", [p.name for p in temporary.iterdir()])


if __name__ == "__main__":
    main()
