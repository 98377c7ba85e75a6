"""Two users on one server run at the same time and do not meet; a third finds no way in."""

import contextlib
import encodings.idna  # noqa: F401  (a socket loads it late, and a stranger can't read it)
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import torch
from faulty import Loading, let_go, started, wait_until

import ddl_lab as lab
from ddl_lab.processes.launch.resources import Resources
from ddl_lab.processes.transports.strangers import no_strangers

STRANGER = 65_534
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a socket is")
TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become other users")


@pytest.fixture(scope="module")
def seen():
    """What the users and the intruder of ``two_users.py`` saw: (who, what) -> value."""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's: others may not pass through that
        notes, temporary = Path(folder, "notes"), Path(folder, "tmp")
        notes.mkdir(), temporary.mkdir()
        for path, mode in [(folder, 0o755), (notes, 0o777), (temporary, 0o1777)]:
            os.chmod(path, mode)
        environ = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(TESTS.parent)}
        command = [sys.executable, str(TESTS / "helpers" / "two_users.py"), str(notes)]
        subprocess.run(command, env=environ, check=True, timeout=150)
        yield {tuple(path.stem.split("-")): json.loads(path.read_text()) for path in notes.glob("*-*.json")}


@pytest.mark.parametrize("name", ["ada", "bob"])
def test_each_gets_the_own_numbers_from_processes_of_the_own_id(seen, name):
    assert seen[name, "right"] is True


@pytest.mark.parametrize("name", ["ada", "bob"])
def test_a_user_who_may_start_no_more_processes_is_told(seen, name):
    told = "no resources for 4 processes: process 0 could not be forked"
    assert seen[name, "refused"].startswith(told)


def test_nothing_of_a_run_has_a_name_that_others_can_open(seen):
    assert [len(names) for names in seen["all", "temporary"]] == [0, 1], "a folder where it must be"
    assert seen["all", "modes"] == ["0o700"]
    assert seen["intruder", "opened"] == []
    assert seen["intruder", "secrets"] == [], "a command line is everybody's to read"


def test_an_intruder_can_neither_end_a_run_nor_hear_or_disturb_it(seen):
    assert seen["intruder", "ended"] == []
    assert seen["intruder", "ports"], "gloo listens"
    assert {host for host, _ in seen["intruder", "ports"]} == {"127.0.0.1"}, "loopback only"
    assert set(seen["intruder", "received"]) == {0}, "a stranger is told nothing"
    assert seen["ada", "unmoved"] is True


def test_a_users_processes_end_with_the_users_kernel_and_the_others_go_on(seen):
    assert seen["ada", "left"] == [] and seen["bob", "unmoved"] is True
    assert seen["all", "left"] == [], "no temporary file stays"


def test_two_users_ask_for_no_port_of_a_fixed_number(seen):
    ports = {port for _, port in seen["intruder", "ports"]}
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert ports and all(first <= port <= last for port in ports), "the system chose them"


def as_a_stranger(deed):
    """Do ``deed`` in a process of another user; returns its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            code = deed()
        finally:
            os._exit(code)
    return pid


@linux
def test_a_connection_of_another_user_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        for deed, error in [(connect_and_wait, PermissionError), (connect_and_go, ConnectionResetError)]:
            with pytest.raises(error, match="connect"), no_strangers():
                pid = as_a_stranger(lambda deed=deed: deed(server.getsockname()))
                accepted, _ = server.accept()
                if deed is connect_and_go:
                    os.waitpid(pid, 0)
            accepted.close()
            if deed is connect_and_wait:
                os.waitpid(pid, 0)
        with no_strangers(), socket.create_connection(server.getsockname()):
            server.accept()[0].close()


def connect_and_wait(address):
    with socket.create_connection(address) as sock:
        return len(sock.recv(1))


def connect_and_go(address):
    socket.create_connection(address).close()
    return 0


@linux
@pytest.mark.parametrize("early", [0, 1])
def test_a_stranger_who_is_faster_than_a_rank_learns_nothing(early, tmp_path):
    """One rank listens, the other still loads: a third connects. Either gloo drops it, or the run ends."""
    run = started(sums, 2, "gloo", args=(Loading(tmp_path),))
    let_go(run, tmp_path, {early})
    rank = psutil.Process(run.pids[early])
    wait_until(lambda: listening(rank))
    (address,) = listening(rank)
    read, write = os.pipe()
    pid = as_a_stranger(lambda: claim_to_be_a_rank(address, write))
    os.close(write)
    assert os.read(read, 1) == b"!", "it has connected"
    os.close(read)
    Path(tmp_path, str(run.pids[1 - early])).unlink()
    try:
        assert run.wait().results == [3.0, 3.0]
    except lab.WorkerError as error:
        assert f"(id {STRANGER}) has connected in the place of a rank" in str(error)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "it has read a byte"


def sums(node, _):
    tensor = torch.ones(5) * (node.rank + 1)
    node.all_reduce(tensor)
    return tensor[0].item()


def listening(process):
    connections = process.net_connections("inet")
    return [(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN]


def claim_to_be_a_rank(address, claimed):
    """Connect as gloo does, with the number of each connection that may be awaited; returns bytes read."""
    socks = [socket.create_connection(address) for _ in range(4)]
    for number, sock in enumerate(socks):
        sock.sendall(number.to_bytes(8, "little"))
    os.write(claimed, b"!")
    return sum(len(read_all(sock)) for sock in socks)


def read_all(sock):
    data = b""
    with contextlib.suppress(OSError):
        while part := sock.recv(4096):
            data += part
    return data


def test_a_folder_that_somebody_made_before_is_never_used(monkeypatch, tmp_path):
    """Names in /tmp are tried until one is new: a folder or link of another user is left alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = iter(["memory", "payload", "store", "theirs", "link", "ours"])
    monkeypatch.setattr(tempfile, "_get_candidate_names", lambda: names)
    theirs, target = tmp_path / "ddl_lab_theirs", tmp_path / "target"
    theirs.mkdir(mode=0o777), target.mkdir()
    (tmp_path / "ddl_lab_link").symlink_to(target)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    resources = Resources(1, "gloo", b"")
    assert resources.folder == str(tmp_path / "ddl_lab_ours")
    assert stat.S_IMODE(os.stat(resources.folder).st_mode) == 0o700
    assert not list(theirs.iterdir()) and not list(target.iterdir())
    resources.close()
    assert theirs.exists() and not Path(resources.folder).exists()
