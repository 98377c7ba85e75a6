"""A class on one machine: a real JupyterHub, two real users, the configuration that docs/ keeps.

Both run lab 00 at the same time, and neither gets at what is the other's.
"""

import os
import pwd
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import websocket
from classroom import LAB, ROOT, TRY, cells_of, environment, printed, shipped, told
from hub_client import (
    PATIENCE_S,
    Hub,
    Kernel,
    Learner,
    channels,
    eventually,
    http,
    port_of,
    processes,
    users,
)

from ddl_lab.learner.stripped import without_outputs

pytestmark = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("useradd") is None,
    reason="only root can make users, and start servers that run as them",
)


@pytest.fixture(scope="module")
def names():
    """Three users of the operating system, gone afterwards. The third has little patience."""
    with users("abc") as names:
        yield names


@pytest.fixture(scope="module")
def hub(names, tmp_path_factory):
    environment()
    hub = Hub(tmp_path_factory.mktemp("hub"), names)
    try:
        hub.wait()
        yield hub
    finally:
        hub.close()
    eventually("no process of a learner outlives the Hub", PATIENCE_S, lambda: not processes(*names))


@pytest.fixture(scope="module")
def everybody(hub, names):
    """All three, with running servers that were started at the same time."""
    found = [Learner(hub, name) for name in names]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Learner.start, found))
    return found


@pytest.fixture(scope="module")
def learners(everybody):
    """The first two."""
    return everybody[:2]


@pytest.fixture(scope="module")
def kernels(learners):
    """A kernel for each of both, with the course loaded."""
    both = [Kernel(learner) for learner in learners]
    for kernel in both:
        kernel.run("import os, ddl_lab as lab\n" + TRY)
    yield both
    for kernel in both:
        kernel.close()


def test_two_learners_run_lab_00_at_the_same_time(learners):
    together, saved = threading.Barrier(2, timeout=PATIENCE_S), shipped()

    def work_through(learner):
        kernel, compared = Kernel(learner), 0
        for cell in cells_of(learner):
            if cell.id in ("s00-first", "s00-train-run"):
                together.wait()  # both start their four processes now
            tags = cell.metadata.get("tags", [])
            if "raises-exception" in tags:
                with pytest.raises(RuntimeError, match="rank 2 raised RuntimeError"):
                    kernel.run(cell.source)
                continue
            shown = kernel.run(cell.source)
            if "nbval-check-output" in tags and (expected := printed(saved[cell.id])):
                assert shown == expected, cell.id
                compared += 1
        user = pwd.getpwnam(learner.name).pw_uid
        shown = kernel.run("print(lab.run(lambda node: os.getuid(), 2, progress=False).results)")
        assert shown == f"[{user}, {user}]\n"
        kernel.close()
        learner.ask("DELETE", f"/api/kernels/{kernel.id}")
        return compared

    with ThreadPoolExecutor() as pool:
        assert min(pool.map(work_through, learners)) >= 10


def test_neither_opens_the_others_server(learners, kernels, hub):
    for visitor, host, kernel in [(*learners, kernels[1]), (*learners[::-1], kernels[0])]:
        assert visitor.ask("GET", "/api/contents")[0] == 200, "the own one"
        for path in ("/api/contents", "/api/kernels", f"/files/labs/{LAB}", "/lab"):
            assert visitor.ask("GET", path, of=host)[0] == 403, path
        assert visitor.ask("POST", "/api/kernels", {"name": "python3"}, of=host)[0] == 403
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            channels(visitor, host, kernel.id)
        directly = f"http://127.0.0.1:{port_of(host)}/user/{host.name}/api/contents"
        assert [http("GET", directly, who.token)[0] for who in (host, visitor)] == [200, 403], "by its port"
        for method, path in [("GET", ""), ("DELETE", "/server"), ("POST", "/tokens")]:
            status, _ = hub.ask(method, f"/users/{host.name}{path}", token=visitor.token)
            assert status in (403, 404), path


def test_neither_opens_the_others_files(kernels):
    for kernel, of_other in (kernels, kernels[::-1]):
        home = Path(pwd.getpwnam(of_other.learner.name).pw_dir)
        labs = home / "ddl_course/labs"
        there = [labs, labs / LAB, home / ".local/share/jupyter/runtime"]
        assert all(path.exists() for path in there)
        for path in there:
            kernel_says = kernel.run(
                f"tried(os.listdir if os.path.isdir({str(path)!r}) else open, {str(path)!r})"
            )
            assert kernel_says == "refused\n", path
        of_other.run("open(os.path.expanduser('~/ddl_course/new'), 'w').close()")
        files = [path for path in (home / "ddl_course").rglob("*") if path.stat().st_mode & 0o077]
        assert files == [], "others have rights on them"


def test_neither_gets_at_the_others_run(learners, kernels):
    victim, intruder = kernels
    victim.run("""
def long_one(node):
    import time
    tensor = lab.make_model(seed=0).parameters().__next__().detach()
    while True:
        node.all_reduce(tensor, op="mean")
        time.sleep(0.01)
run = lab.start(long_one, 2, progress=False)
while len(run.pids) < 2: pass
""")
    workers = eval(victim.run("print(run.pids)"))
    theirs = processes(learners[0].name)
    assert len(workers) == 2 and {p.pid for p in theirs} >= set(workers)
    for pid in workers:
        for ask in (
            f"os.kill, {pid}, 9", f"open, '/proc/{pid}/environ'", f"open, '/proc/{pid}/mem'",
            f"os.listdir, '/proc/{pid}/fd'",
        ):  # fmt: skip
            assert intruder.run(f"tried({ask})") == "refused\n", ask
    user = pwd.getpwnam(learners[0].name).pw_uid
    readable = f"""
for folder in ("/tmp", "/dev/shm"):
    for entry in os.scandir(folder):
        if entry.stat(follow_symlinks=False).st_uid == {user}:
            print(entry.path if os.access(entry.path, os.R_OK) else "", end="")
"""
    assert intruder.run(readable).strip() == ""
    (server,) = [p for p in theirs if "jupyterhub-singleuser" in " ".join(p.cmdline())]
    for process in theirs:
        listening = [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        # a kernel has one port, on which it takes its own children's output; nothing is read there
        most = 1 if process == server or "ipykernel_launcher" in process.cmdline() else 0
        assert len(listening) <= most, process.cmdline()
        assert all(c.laddr.ip == "127.0.0.1" for c in listening)
    victim.run("run.stop()")


def test_no_secret_stands_in_a_command_line(learners, kernels, hub):
    secret = {hub.token, *(learner.token for learner in learners)}
    for server in processes(*(learner.name for learner in learners)):
        secret |= {v for k, v in server.environ().items() if "TOKEN" in k or "SECRET" in k}
    lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    assert len(secret) > 3 and not [line for line in lines if any(s in line for s in secret)]


def test_the_operating_system_keeps_the_limits(kernels):
    assert kernels[0].run("print(os.nice(0))") == "5\n"
    assert kernels[0].run("import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[1])") == "1000\n"
    with pytest.raises(RuntimeError, match="MemoryError"):
        kernels[0].run("import numpy; numpy.empty(9 * 2**30, dtype='u1')")
    with pytest.raises(RuntimeError, match=r"WorkerError.*rank 0"):
        kernels[0].run("lab.run(lambda node: numpy.empty(9 * 2**30, dtype='u1'), 1)")
    assert kernels[0].run("print(lab.run(lambda node: node.rank, 4).results)").endswith("[0, 1, 2, 3]\n")


def test_an_idle_kernel_ends_and_a_long_silent_run_does_not(everybody):
    learner, idle_s = everybody[2], 3
    go_on = Path(pwd.getpwnam(learner.name).pw_dir, "go on")
    busy = Kernel(learner)
    busy.run(f"""
import os, time, ddl_lab as lab
def silent(node):
    while not os.path.exists({str(go_on)!r}):
        time.sleep(0.01)
""")
    asked, began = busy.send("lab.run(silent, 2, progress=False)"), time.monotonic()
    idle = Kernel(learner)
    idle.run("pass")
    eventually("the idle kernel ended", PATIENCE_S, lambda: learner.kernels() == {busy.id})
    eventually("time passed", 3 * idle_s, lambda: time.monotonic() > began + 2 * idle_s + 1)
    assert learner.kernels() == {busy.id}, "it has run for more than twice as long as a kernel may be idle"
    go_on.touch()
    busy.wait_for(asked)
    eventually("that one was idle then, and ended too", PATIENCE_S, lambda: learner.kernels() == set())


def test_learners_are_spread_over_the_gpus_by_advice(learners, kernels):
    for learner, kernel in zip(learners, kernels, strict=True):
        number = pwd.getpwnam(learner.name).pw_uid % 2
        assert kernel.run("print(os.environ['CUDA_VISIBLE_DEVICES'])") == f"{number}\n"


def test_labs_are_collected_and_a_link_leads_nowhere(learners, tmp_path):
    good, sly = ((pwd.getpwnam(who.name).pw_dir, who.name) for who in learners)
    secret = tmp_path / "secret"  # in a folder of root's
    secret.write_text("of the teacher")
    (name,) = [path.name for path in (ROOT / "labs").glob("03_*.ipynb")]
    place = Path(sly[0]) / "ddl_course/labs" / name
    place.unlink()
    place.symlink_to(secret)
    first, *rest = told("learners=").splitlines(keepends=True)
    assert first.startswith("learners=$(getent group learners ")
    block = "".join([f"learners='{good[1]} {sly[1]}'\n", *rest])
    subprocess.run(["sh", "-c", block], cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    found = {str(path.relative_to(tmp_path)) for path in (tmp_path / "submitted").rglob("*.ipynb")}
    assert found == {f"submitted/{good[1]}/lab_03/{name}"}
    assert (tmp_path / found.pop()).read_text() == without_outputs(ROOT / "labs" / name)


def test_a_learners_work_survives_a_new_start_and_a_lost_lab_comes_back(learners):
    learner = learners[1]
    labs = Path(pwd.getpwnam(learner.name).pw_dir) / "ddl_course/labs"
    learner.stop()
    (labs / LAB).write_text("mine")
    (labs / "01_loss.ipynb").unlink()
    (labs / "02_gradient.ipynb").unlink()
    (labs / "02_gradient.ipynb").symlink_to("/nobody/there")
    learner.start()
    assert (labs / LAB).read_text() == "mine"
    assert (labs / "02_gradient.ipynb").is_symlink()
    assert (labs / "01_loss.ipynb").read_text() == without_outputs(ROOT / "labs/01_loss.ipynb")
    assert {p.name for p in labs.glob("*.ipynb")} == {p.name for p in (ROOT / "labs").glob("*.ipynb")}
    assert (labs.parent / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
