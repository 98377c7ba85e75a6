"""Tables made beforehand: the day and the command stand with them, and a wrong name is told."""

import importlib
import re
from pathlib import Path

import pytest

from ddl_lab.training.swept import swept

TABLES = sorted((Path(__file__).parents[2] / "data" / "sweeps").glob("*.csv"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_says_when_and_by_what_command_it_was_made(path):
    table = swept(path.stem)
    assert re.match(rf"20\d\d-\d\d-\d\d, python -m tools\.sweeps\.{path.stem}", table.attrs["made"])
    assert len(table) > 1 and path.stat().st_size < 50_000
    assert importlib.util.find_spec(f"tools.sweeps.{path.stem}")
    assert f"| `{path.name}` |" in (path.parents[1] / "README.md").read_text()


def test_a_table_is_read_from_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "tiny.csv").write_text("# 2026-01-01, by hand\nway,loss\na,0.5\nb,inf\n")
    monkeypatch.setenv("DDL_LAB_DATA", str(tmp_path))
    table = swept("tiny")
    assert table.loss.tolist() == [0.5, float("inf")] and table.attrs["made"] == "2026-01-01, by hand"


def test_a_table_that_there_isnt_is_told():
    with pytest.raises(FileNotFoundError, match=r"no table 'none'.*compression.*git checkout"):
        swept("none")
