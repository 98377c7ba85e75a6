"""README.md tells what is there: its map names every file of the package, its example runs."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from tools import house

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLUSTER = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def test_the_rooms_of_the_map_are_those_that_stand_on_each_floor() -> None:
    named: dict[int, set[str]] = {}
    for floor, rooms in re.findall(r"^\| (\d) \| ([^|]+) \|", README, re.M):
        named.setdefault(int(floor), set()).update(re.findall(r"`(\w+)(?:/|\.py)`", rooms))
    assert named == {floor: set(rooms) for floor, rooms in house.FLOORS.items()}


def test_the_map_of_the_package_is_as_its_files_say() -> None:
    told = "docs/package.md is not what the files say of themselves: run `make map`"
    assert house.MAP.read_text(encoding="utf-8") == house.package_map(), told


def test_every_file_of_the_package_says_what_is_in_it() -> None:
    empty = [path for path in house.PACKAGE.rglob("*.py") if not house.says(path)]
    assert empty == []


def test_the_map_names_every_lab_and_its_minutes() -> None:
    rows = re.findall(r"^\| \[\d\d [^]]+\]\((labs/\S+)\) \| .+ \| (\d+), (\d+) \|$", README, re.M)
    assert rows == [
        (f"labs/{lab.name}", *map(str, _minutes(lab))) for lab in sorted(ROOT.glob("labs/*.ipynb"))
    ]


def _minutes(lab: Path) -> tuple[int, int]:
    """What a lab's opening says that its core way takes, and what is further, exercises included."""
    opening = re.compile(
        r"about (\d+) minutes .*? (\d+) for its exercises.*? (\d+) more, its exercises (\d+)"
    )
    core, easy, further, hard = map(int, opening.search(lab.read_text(encoding="utf-8")).groups())  # type: ignore[union-attr]
    return core + easy, further + hard


def test_the_example_prints_the_same_numbers_twice_and_the_cluster_predicts_it() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (cluster,) = re.findall(r"```python\n(.*?)```", CLUSTER, re.S)
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(example, names)
        over_processes, simulated = printed.getvalue().splitlines()
        exec(cluster, names)
    assert over_processes == simulated
    assert len(set(eval(simulated))) == 1  # every rank holds the same model
    assert names["cluster"].cost("all_reduce", 8, 64).algorithm == "direct"
    assert names["here"].spread["latency_s"][0] > 0


def test_what_a_contributor_is_told_to_look_at_and_to_run_exists() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text()
    files = set(re.findall(r"`((?:tests|docs|tools|ddl_lab)/[\w/]+\.\w+)", told))
    targets = set(re.findall(r"`make ([\w-]+)`", told))
    assert len(files) > 5 and len(targets) > 2
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))


def test_its_links_and_picture_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    assert (ROOT / "docs" / "lab.png").stat().st_size < 200_000
    assert (ROOT / "docs" / "slider.gif").stat().st_size < 1_000_000


def test_the_links_of_every_page_of_docs_exist() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)
