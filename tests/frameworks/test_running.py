"""The frameworks train what ``lab.run`` trains, and whatever becomes of a run, nothing of it stays."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from beside import interrupted, marked, mpi, nobody, place  # noqa: F401  (fixtures)
from faulty import descendants

import ddl_lab as lab
from ddl_lab.errors import StoppedRun
from ddl_lab.frameworks import launching, running
from ddl_lab.frameworks.running import FrameworkError, check_ranks
from ddl_lab.frameworks.table import FRAMEWORKS
from ddl_lab.frameworks.task import ours

EVERYWHERE = bool(os.environ.get("DDL_LAB_FUZZ"))  # those of ``LIKE``, too
LIKE = dict.fromkeys(("torchrun", "fsdp2"), "ddp") | dict.fromkeys(
    ("deepspeed_2", "deepspeed_3"), "deepspeed"
)
LIKE |= {"keras": "jax_devices", "tf_server_async": "tf_server"}
LIKE |= {"ray_course": "ray_ranks", "dask_course": "dask_ranks"}


def close_to_ours(history, nodes):
    right = ours(nodes)
    assert history.nodes == nodes and history.clock == "wall" and history.startup_s > 0
    found, mine = history.metrics, right.metrics
    assert list(found["rank"]) == list(mine["rank"]) and list(found.step) == list(mine.step)
    assert np.abs(found.loss - mine.loss).max() == pytest.approx(history.about["differences"][0])
    assert 0 < max(history.about["differences"]) < 1e-6
    assert (found.time_s > 0).all() and history.about["step_s"] > 0
    for rank in range(nodes):
        assert found[found["rank"] == rank].time_s.is_monotonic_increasing


@pytest.mark.parametrize("name", ["ddp", "torchrun", "fsdp2"])
def test_what_needs_nothing_more_ends_where_our_run_does(name):
    close_to_ours(getattr(lab.frameworks, name).run(2, progress=False), 2)
    assert not descendants(os.getpid())


def test_mpi_ends_where_our_run_does(mpi):  # noqa: F811
    close_to_ours(lab.frameworks.mpi.run(4, progress=False), 4)
    assert not descendants(os.getpid())


@pytest.fixture(params=FRAMEWORKS)
def handle(request):
    """Each framework that is installed; MPI is."""
    if request.param == "mpi":
        request.getfixturevalue("mpi")
    handle = getattr(lab.frameworks, request.param)
    if not handle.installed:
        pytest.skip(f"{handle.title} isn't installed in {os.environ['DDL_LAB_FRAMEWORKS']}")
    if request.param in LIKE and not EVERYWHERE:
        pytest.skip(f"started as {LIKE[request.param]} is: DDL_LAB_FUZZ=1 does all")
    return handle


def test_nothing_stays_after_an_interrupt(handle, monkeypatch):
    folder, there = interrupted(
        lambda: handle.run(2, timeout_s=250, epochs=500, progress=False), 2, monkeypatch
    )
    assert len(there) > 1, "nobody trained when the interrupt came"
    assert nobody(there) and not marked(folder) and not folder.exists()


def test_a_run_that_takes_too_long_is_ended_and_says_so(handle, monkeypatch):
    """Most are still starting then: what a launcher has going differs from what is there when all train."""
    told, write = [], running.write_task
    monkeypatch.setattr(running, "write_task", lambda *args: told.append(args[0]) or write(*args))
    words = rf"{re.escape(handle.title)}: not finished after timeout_s=3; all its processes are ended"
    with pytest.raises(StoppedRun, match=words):
        handle.run(2, epochs=500, timeout_s=3, progress=False)
    assert not descendants(os.getpid()) and not marked(told[0])
    assert not told[0].exists()


def test_what_fails_tells_the_last_lines_of_its_log(monkeypatch):
    code = "print('some words'); raise ValueError('no')"
    monkeypatch.setattr(running, "command", lambda framework, nodes: [sys.executable, "-c", code])
    with pytest.raises(FrameworkError) as caught:
        lab.frameworks.ddp.run(2, progress=False)
    assert "PyTorch DDP ended with exit code 1: the last lines of its log:" in str(caught.value)
    assert "some words" in str(caught.value) and "ValueError: no" in str(caught.value)


def test_ranks_that_do_not_know_of_each_other_are_found(mpi, monkeypatch):  # noqa: F811
    """The script without its launcher: four processes, each of them rank 0 of 1."""
    framework = FRAMEWORKS["mpi"]
    alone = [launching.python_of(framework), str(framework.path)]
    shell = ["sh", "-c", " & ".join([" ".join(alone)] * 4) + " & wait"]
    monkeypatch.setattr(running, "command", lambda framework, nodes: shell)
    with pytest.raises(FrameworkError, match=r"4 ranks were asked, and 4 processes ran, each as rank 0 of 1"):
        lab.frameworks.mpi.run(4, progress=False)


def line(rank, world, losses=(0.5,)):
    return {"rank": rank, "world": world, "pid": 100 + rank, "losses": list(losses)}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "4 ranks were asked, and none reported"),
        ([line(0, 1)], r"4 ranks were asked, and 1 rank took part: it trained on all rows"),
        ([line(0, 1)] * 4, "4 processes ran, each as rank 0 of 1: each trained alone"),
        ([line(r, 3) for r in range(3)], "3 ranks took part"),
        ([line(r, 4) for r in (0, 1, 2)], "3 ranks took part"),
        ([line(r, 4) for r in (0, 1, 2, 2)], "4 ranks took part"),
        ([line(r, 8) for r in range(4)], "4 ranks took part"),
        ([line(0, 4), line(1, 4), line(2, 4, [float("nan")]), line(3, 4)], "losses of rank 2 aren't numbers"),
    ],
)
def test_exactly_the_ranks_that_were_asked_must_have_taken_part(said, words):
    with pytest.raises(FrameworkError, match=words):
        check_ranks("It", said, 4)


def test_four_ranks_that_know_of_each_other_are_what_was_asked():
    check_ranks("It", [line(rank, 4) for rank in range(4)], 4)


def test_one_who_reports_for_others_spreads_their_steps_from_their_begin_to_the_end(tmp_path):
    told = line(0, 2, [0.7, 0.6, 0.5]) | {"began_s": [], "ended_s": 1009.0}
    (tmp_path / "rank-0-1.json").write_text(json.dumps(told))
    (tmp_path / "began-0").touch()
    os.utime(tmp_path / "began-0", (1000.0, 1000.0))
    (found,) = running._lines(tmp_path)
    assert found["began_s"] == [1000.0, 1003.0, 1006.0]


def test_every_script_is_short_and_its_file_is_not_named_as_a_framework():
    for framework in FRAMEWORKS.values():
        assert 10 <= framework.lines <= 60, framework.script
        assert "_" in framework.path.stem, "a script must not stand in the way of an import"
        knows = "ddl_lab" in "".join(file.read_text() for file in framework.sources)
        assert knows == framework.course, "only a rank that is the course's own imports it"


def test_code_shows_the_script_or_one_that_it_takes_by_name():
    shown = lab.frameworks.ray_course.code().data, lab.frameworks.ray_course.code("course_ranks.py").data
    assert "@ray.remote" in shown[0] and "lab.run(worker" in shown[1]
    with pytest.raises(
        ValueError, match=r"mpi has no 'course_ranks.py'; it takes lesson.py, mpi_allreduce.py"
    ):
        lab.frameworks.mpi.code("course_ranks.py")


def test_only_a_course_rank_finds_the_course_and_only_spark_a_java(tmp_path):
    told = {name: launching.variables(FRAMEWORKS[name], 2, tmp_path) for name in FRAMEWORKS}
    package = Path(lab.__file__).parents[1]
    assert {n for n in told if str(package) in told[n]["PYTHONPATH"].split(os.pathsep)} == {
        "ray_course",
        "dask_course",
    }
    homes = {told[name].get("JAVA_HOME") for name in ("spark", "spark_barrier")}
    assert homes == {str(launching.environment_of(FRAMEWORKS["spark"]).java_home)}
    assert told["ray"].get("JAVA_HOME") == os.environ.get("JAVA_HOME")


def test_what_runs_is_quiet_and_stays_on_this_machine(tmp_path):
    found = launching.variables(FRAMEWORKS["ddp"], 4, tmp_path)
    assert found["OMP_NUM_THREADS"] == "1" and found["GLOO_SOCKET_IFNAME"] == launching.LOOPBACK
    assert found["RAY_USAGE_STATS_ENABLED"] == found["FLWR_TELEMETRY_ENABLED"] == "0"
    assert found["TMPDIR"] == found["DDL_LAB_TASK"] == str(tmp_path)
    assert not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} & set(found)
