"""A run where something is missing: its folder, its words, the network, memory, /proc."""

import os
import resource
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from faulty import nothing_stays_behind, quietly, transport
from other_user import as_nobody

import ddl_lab as lab
from ddl_lab.processes.launch import resources

assert nothing_stays_behind and transport and as_nobody  # fixtures
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("engine", [quietly, lab.simulate])
def test_an_error_that_cannot_say_what_it_is_is_named_all_the_same(engine):
    class Broken(Exception):
        def __str__(self):
            raise ZeroDivisionError

    def breaks(node):
        raise Broken from Broken()

    with pytest.raises(
        lab.WorkerError, match=r"rank \d raised Broken: \(its __str__ raised ZeroDivisionError"
    ):
        engine(breaks, 2)


DELETED = """
    import os, sys
    import ddl_lab as lab
    run = lab.run  # which loads torch
    folder, deed, transport = sys.argv[1:]  # of this process: a rank has none
    os.chdir(folder)
    os.rmdir(folder)

    def worker(node):
        if node.rank and deed == "raise":
            raise ValueError("no")
        return node.rank

    for _ in range(2):
        try:
            print(lab.run(worker, 2, transport=transport).results)
        except lab.WorkerError as error:
            print(str(error).partition(chr(10))[0])
"""


@pytest.mark.parametrize(("deed", "told"), [("return", "[0, 1]"), ("raise", "rank 1 raised ValueError: no")])
def test_a_deleted_working_folder_is_no_obstacle(tmp_path, transport, deed, told):
    script, folder = tmp_path / "script.py", tmp_path / "folder"
    script.write_text(textwrap.dedent(DELETED))
    folder.mkdir()
    command = [sys.executable, script, folder, deed, transport]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300)
    assert done.stdout == f"{told}\n{told}\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs files without a name")
def test_a_limit_on_the_size_of_files_is_named(transport):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(
            lab.LabError, match=r"no resources for 2 processes: .*File too large.*\(ulimit -f\)"
        ):
            quietly(lambda node: None, 2, transport)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(sys.platform != "linux", reason="others have no /proc")
def test_without_proc_a_run_says_so(monkeypatch, tmp_path):
    with monkeypatch.context() as patched, pytest.raises(lab.LabError, match="/proc is not mounted here"):
        patched.setattr(resources, "_PROC", tmp_path / "none")
        quietly(lambda node: None, 2)


def test_a_rank_that_a_library_aborts_is_told_where_to_look():
    with pytest.raises(lab.WorkerError, match=r"rank \d was killed by SIGABRT \(a library gave up.*threads"):
        quietly(lambda node: os.abort(), 2)


@pytest.mark.parametrize("engine", [quietly, lab.simulate])
@pytest.mark.parametrize("said", ["can't start new thread", "Resource temporarily unavailable"])
def test_a_rank_that_may_start_no_thread_is_told_of_the_limit(engine, said):
    """What Python and gloo say under ``ulimit -u 14``, which doesn't bind who runs these tests as root."""

    def worker(node):
        raise RuntimeError(said)

    with pytest.raises(lab.WorkerError, match=rf"{said}(.|\n)*note: .*\(ulimit -u\) counts threads.*shm"):
        engine(worker, 2)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NPROC, 2 * (int(sys.argv[2]),))
import torch
import ddl_lab as lab

def worker(node):
    tensor = torch.ones(3)
    node.all_reduce(tensor)
    return tensor.tolist()

try:
    print(lab.run(worker, 2, transport=sys.argv[1], progress=False, timeout_s=60).results)
except lab.LabError as error:
    print(error)
"""


def test_a_user_with_few_processes_runs_over_shm_and_gloo_says_what_it_lacks(as_nobody):
    """``ulimit -u`` counts threads."""
    assert as_nobody(LIMITED, "shm", "14") == "[[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]\n"
    told = as_nobody(LIMITED, "gloo", "10")
    assert "ulimit -u" in told and "counts threads" in told, told


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads from /proc")
def test_gloo_has_one_thread_for_its_calls():
    """With more, torch hangs where the first could be started and the second could not."""

    def worker(node):
        node.barrier()
        return [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]

    for names in lab.run(worker, 2, transport="gloo", progress=False).results:
        assert names.count("pt_gloo_runloop") == 1, names


class Wrapped:
    """As the file of a tqdm bar: it asks for its attributes where it has none yet."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("engine", [quietly, lab.simulate])
def test_what_cannot_be_rebuilt_on_a_node_is_told_in_words(engine):
    bar = Wrapped([1])
    with pytest.raises((lab.LabError, TypeError), match=r"can't be rebuilt .*tqdm.*inside the worker"):
        engine(lambda node: bar.file, 2)


ALONE_IN_A_NETWORK = """
    import ddl_lab as lab
    print(lab.run(lambda node: node.rank, 2, transport="{transport}").results)
"""


@pytest.mark.skipif(shutil.which("unshare") is None or os.getuid() != 0, reason="needs root and unshare")
@pytest.mark.parametrize(("transport", "told"), [("shm", "[0, 1]"), ("gloo", "gloo finds no network device")])
def test_without_a_loopback_device_shm_works_and_gloo_says_so(tmp_path, transport, told):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(ALONE_IN_A_NETWORK.format(transport=transport)))
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    command = ["unshare", "-n", sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120)
    if "unshare failed" in done.stderr:
        pytest.skip("no network of its own can be made here")
    assert told in done.stdout + done.stderr, done.stderr


def test_a_notebook_shows_of_what_cannot_be_sent_the_message_alone():
    lock = threading.Lock()
    with pytest.raises(TypeError) as caught:
        quietly(lambda node: lock, 2)
    assert caught.value._render_traceback_() == [f"CaptureError: {caught.value}"]
