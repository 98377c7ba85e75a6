"""The record: a row a framework, in words where there is none, stale where a script has changed since."""

from pathlib import Path

import pytest

import ddl_lab as lab
from ddl_lab.frameworks import record
from ddl_lab.frameworks.table import FRAMEWORKS, TRAPS
from ddl_lab.frameworks.task import ours


def history(framework):
    """A run of ours, told as a framework's."""
    found = ours(2)
    found.about = found.about | {"framework": framework, "step_s": 0.004, "differences": (1e-7, 2e-8)}
    return found


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A record of two rows: one that ran, one that failed."""
    monkeypatch.setenv("DDL_LAB_DATA", str(tmp_path))
    ran = record.row_of(FRAMEWORKS["ddp"], history("ddp"), 8.1)
    failed = record.row_of(TRAPS["accelerate_launch"], None, 5.0, "4 ranks were asked, and 1 rank took part")
    record.write([ran, failed], "2026-01-01, by the test")
    return tmp_path / "frameworks.csv"


def test_a_row_says_what_ran_how_long_and_how_far_off_and_all_others_that_they_are_not_recorded(written):
    table = record.recorded()
    assert list(table.index) == [*FRAMEWORKS, *TRAPS] and table.attrs["made"] == "2026-01-01, by the test"
    ran = table.loc["ddp"]
    assert (ran.state, ran.nodes, ran.step_ms, ran.total_s) == ("ran", 2, 4.0, 8.1)
    assert (ran.loss_off, ran.parameter_off) == (1e-7, 2e-8) and ran.versions.startswith("torch 2.")
    assert table.loc["accelerate_launch"].state == "failed"
    assert "1 rank took part" in table.words["accelerate_launch"]
    assert set(table.drop(["ddp", "accelerate_launch"]).state) == {"not recorded"}
    assert not table.stale.any()


def test_a_changed_script_makes_its_row_stale_and_no_other(written, monkeypatch):
    text = written.read_text()
    written.write_text(text.replace(record.hash_of(FRAMEWORKS["ddp"]), "0123456789ab"))
    table = record.recorded()
    assert list(table.index[table.stale]) == ["ddp"]


def test_what_a_script_takes_from_others_counts_as_the_script(monkeypatch):
    taken = {name: [file.name for file in FRAMEWORKS[name].sources] for name in FRAMEWORKS}
    assert taken["ddp"] == ["lesson.py", "torch_ddp.py"]
    assert taken["spark"] == ["lesson.py", "spark_torch.py", "torch_ddp.py"]
    assert taken["jax"] == ["each.py", "jax_ranks.py", "jax_step.py", "lesson.py"]
    assert taken["dask_course"] == ["course_ranks.py", "dask_ranks.py", "each.py", "lesson.py"]
    assert record.hash_of(FRAMEWORKS["ray_course"]) != record.hash_of(FRAMEWORKS["ray_ranks"])
    assert all(FRAMEWORKS[name].path.name in files for name, files in taken.items())


def test_the_record_that_comes_with_the_course_is_of_todays_scripts_and_its_runs_end_where_ours_do():
    table = lab.frameworks.recorded()
    assert list(table.index[table.stale]) == []
    ran = table[table.state == "ran"]
    assert {"ddp", "torchrun", "fsdp2", "mpi"} <= set(ran.index)
    assert (ran.nodes == 4).all() and (ran.startup_s > 0).all()
    for name, row in ran.iterrows():
        assert (row.parameter_off < 1e-6) == FRAMEWORKS[name].reaches_ours, name
    assert all(table.words[table.state == "failed"])
    assert not any(words in Path(record.file_of_record()).read_text() for words in ("/home", "/root", "/tmp"))


def test_your_own_runs_stand_beside_it():
    table = lab.frameworks.mine({"ddp": history("ddp")})
    assert list(table.index) == ["ddp"] and table.loc["ddp"].lines == FRAMEWORKS["ddp"].lines
    assert list(lab.frameworks.mine({}).columns) == list(table.columns)
