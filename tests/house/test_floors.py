"""The package reads from the ground floor up: imports between its rooms point downward only.

The floors themselves, readable as a map, stand in tools/house.py.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tools.house import FLOORS, PACKAGE, STAIRS


def modules(package: Path) -> dict[str, Path]:
    """Return module name -> file; "" is the package itself, "processes.shm" lies in a room.

    A folder without ``__init__.py`` holds no modules of it, but programs that others run.
    """
    found = {}
    for path in package.rglob("*.py"):
        if not (path.parent / "__init__.py").exists():
            continue
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def nodes_that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk ``tree``, functions included, without what only a type checker reads."""
    for child in ast.iter_child_nodes(tree):
        test = ast.unparse(child.test) if isinstance(child, ast.If) else ""
        if test in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for part in child.orelse:
                yield from (part, *nodes_that_run(part))
        else:
            yield from (child, *nodes_that_run(child))


def targets(node: ast.AST, importer: str, is_package: bool, package: str) -> list[str]:
    """Return the dotted names that an import may mean, relative to ``package``, widest last."""
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        return [".".join(name[1:]) for name in names if name[0] == package]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module.split(".") if node.module else []
    if node.level:
        home = importer.split(".") if importer else []
        climbed = node.level - (1 if is_package else 0)
        base = home[: len(home) - climbed] + base
    elif base[0] == package:
        base = base[1:]
    else:
        return []
    return [".".join([*base, alias.name]) for alias in node.names]


def imports(package: Path) -> Iterator[tuple[str, int, str]]:
    """Yield (importing module, line, imported module) for every import inside ``package``."""
    known = modules(package)
    for importer, path in known.items():
        for node in nodes_that_run(ast.parse(path.read_text())):
            is_package = path.name == "__init__.py"
            for name in targets(node, importer, is_package, package.name):
                while name and name not in known:  # a function or class: its module is meant
                    name = name.rpartition(".")[0]
                yield importer, node.lineno, name


def faults(package: Path, floors: Mapping[int, list[str]]) -> list[str]:
    """Return one sentence for each import of ``package`` that breaks the rule."""
    floor_of = {room: floor for floor, rooms in floors.items() for room in rooms}
    found, graph = [], {name: set() for name in modules(package) if name}
    for room in sorted({name.split(".")[0] for name in graph} - set(floor_of)):
        found.append(f"{room} stands on no floor: add it to FLOORS in tools/house.py")
    for importer, line, imported in imports(package):
        if importer == "" or importer == imported:
            continue  # the front door shows every room
        rooms = importer.split(".")[0], imported.split(".")[0]
        here, there = floor_of.get(rooms[0], 99), floor_of.get(rooms[1], 99 if not imported else 0)
        if there > here:
            what = f"{rooms[1]} (floor {there})" if imported else "the package itself"
            found.append(f"{importer}:{line} on floor {here} imports {what}: imports point down")
        elif imported and not importer.startswith(f"{imported}."):
            graph[importer].add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"these import each other in a circle: {' -> '.join(error.args[1])}")
    return found


def test_imports_point_downward_only():
    assert faults(PACKAGE, FLOORS) == []


@pytest.mark.parametrize("room", STAIRS)
def test_imports_inside_a_room_point_downward_only(room):
    floor_of = {f"{room}.{name}": floor for floor, names in STAIRS[room].items() for name in names}
    part = {name: ".".join(name.split(".")[:2]) for name in modules(PACKAGE)}
    assert {part[name] for name in part if name.startswith(f"{room}.")} == set(floor_of)
    upward = [
        f"{importer}:{line} imports {imported}"
        for importer, line, imported in imports(PACKAGE)
        if floor_of.get(part[importer], 99) < floor_of.get(part[imported], 0)
    ]
    assert upward == []


def test_the_virtual_engine_has_no_circle_for_a_type_checker_either():
    files = modules(PACKAGE)
    virtual = [name for name in files if name.startswith("virtual.")]
    assert virtual and not any("TYPE_CHECKING" in files[name].read_text() for name in virtual)


def test_no_room_stands_on_two_floors():
    rooms = [room for rooms in FLOORS.values() for room in rooms]
    assert len(rooms) == len(set(rooms))


def test_the_house_has_few_rooms_and_little_lies_loose():
    names = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__"} - {"__init__"}
    rooms = {name for name in names if (PACKAGE / name).is_dir()}
    assert names == {room for rooms in FLOORS.values() for room in rooms}
    assert len(rooms) <= 15 and len(names - rooms) <= 7


@pytest.mark.parametrize("room", sorted(path.parent for path in PACKAGE.rglob("*/__init__.py")))
def test_each_room_says_what_it_is_for_and_what_it_must_not_know(room):
    if room.parent.name == "exercises":
        return  # a lab's exercises: its `__init__` lists them
    told = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
    assert 2 <= sum(map(bool, told.splitlines())) <= 5
    assert "must not know" in " ".join(told.split())


HOUSE = {1: ["ground"], 2: ["left", "right"], 3: ["attic"]}


def house(folder: Path, **sources: str) -> Path:
    """Build a package of three floors, attic being a folder, with ``sources`` in its modules."""
    package = folder / "house"
    (package / "attic").mkdir(parents=True)
    files = dict.fromkeys(["ground", "left", "right", "attic/__init__", "attic/box", "__init__"], "")
    for name, source in {**files, **sources}.items():
        (package / f"{name}.py").write_text(source)
    return package


@pytest.mark.parametrize(
    "source",
    [
        "from .attic import box",
        "from . import attic",
        "from .attic.box import thing",
        "import house.attic.box",
        "import json, house.attic as up",
        "from house import attic",
        "from house.attic import box",
        "def f():\n    from .attic import box",
        "class A:\n    def f(self):\n        if self:\n            import house.attic",
        "if not TYPE_CHECKING:\n    from . import attic",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from . import attic",
        "try:\n    from . import attic\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_that_points_upward_is_found(tmp_path, source):
    (fault,) = faults(house(tmp_path, ground=source), HOUSE)
    assert fault.startswith("ground:")
    assert "on floor 1 imports attic (floor 3): imports point down" in fault


@pytest.mark.parametrize("source", ["import house", "from house import thing", "from . import thing"])
def test_a_room_that_imports_the_package_itself_is_found(tmp_path, source):
    (fault,) = faults(house(tmp_path, ground=source), HOUSE)
    assert "ground:1 on floor 1 imports the package itself" in fault


def test_an_upward_import_from_a_file_inside_a_room_is_found(tmp_path):
    floors = {1: ["attic"], 2: ["left", "right", "ground"]}
    (fault,) = faults(house(tmp_path, **{"attic/box": "from ..left import thing"}), floors)
    assert fault.startswith("attic.box:1 on floor 1 imports left (floor 2)")


def test_downward_imports_and_those_of_one_floor_are_fine(tmp_path):
    package = house(
        tmp_path,
        __init__="from .attic.box import thing\nfrom .ground import other",
        left="from .right import thing\nfrom .ground import other\nimport torch",
        ground="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .attic import box",
        **{"attic/box": "from ..left import thing\nfrom . import drawer", "attic/drawer": ""},
    )
    assert faults(package, HOUSE) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"left": "from .right import a", "right": "def f():\n    from .left import b"},
        {"attic/box": "from .drawer import a", "attic/drawer": "from .box import b"},
    ],
)
def test_rooms_of_one_floor_that_import_each_other_are_found(tmp_path, sources):
    (fault,) = faults(house(tmp_path, **sources), HOUSE)
    assert "in a circle" in fault
    assert all(name.replace("/", ".") in fault for name in sources)


def test_a_room_without_a_floor_is_found(tmp_path):
    (fault,) = faults(house(tmp_path, cellar="from . import ground"), HOUSE)
    assert fault == "cellar stands on no floor: add it to FLOORS in tools/house.py"
