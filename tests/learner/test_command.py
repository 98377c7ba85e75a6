"""``ddl-lab``: from a built wheel, without git, make or the repository, to JupyterLab on one's own copies."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest
from waiting import wait_until

from ddl_lab.errors import LabError
from ddl_lab.learner import command
from ddl_lab.training import course

ROOT = Path(__file__).parents[2]
BUILT_FROM = ("ddl_lab", "labs", "data", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md")
ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):(\d+)/\S*\?token=(\w+)")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A Python that has the wheel, and all else that this one has; its folder."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    source.mkdir()
    for name in (*BUILT_FROM, "LICENSE", "LICENSE-LABS.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    how = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *how, "-w", base, source], check=True)
    venv.create(base / "env", with_pip=False)
    (wheel,) = base.glob("ddl_lab-*.whl")
    python = base / "env/bin/python"
    subprocess.run([*pip, "--python", python, "install", *how[:1], "--no-index", wheel], check=True)
    (packages,) = (base / "env/lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # not their .pth files
    shutil.rmtree(source)
    return base / "env"


def spoken(installed, *words, cwd, **more):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_brings_labs_without_outputs_and_the_data(installed, tmp_path):
    done = spoken(installed, installed / "bin/ddl-lab", "--version", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    assert sorted(path.name for path in (tmp_path / "my_labs").glob("*.ipynb")) == names
    for said in (f"{names[0]}: copied", f"{len(names)} labs", str(tmp_path / "my_labs"), "Ctrl-C"):
        assert said in done.stdout
    lab = json.loads((tmp_path / "my_labs" / names[0]).read_text())
    assert not any(cell.get("outputs") for cell in lab["cells"])
    code = (
        "import ddl_lab as lab; from ddl_lab.training.swept import swept; lab.fresh('00')\n"
        "print(lab.__file__, len(lab.load_digits().train), len(swept('compression')) > 1)\n"
        "print(lab.simulate(lambda node: node.rank, 2).results)"
    )
    ran = spoken(installed, installed / "bin/python", "-c", code, cwd=tmp_path / "my_labs")
    assert f"{installed}/lib" in ran.stdout and "4000 True\n[0, 1]" in ran.stdout, ran.stdout + ran.stderr


def test_the_wheels_words_do_not_speak_of_git(installed, tmp_path):
    code = "from ddl_lab.training.swept import swept; swept('none')"
    ran = spoken(installed, installed / "bin/python", "-c", code, cwd=tmp_path)
    assert "install the package again" in ran.stderr and "git" not in ran.stderr.splitlines()[-1]


def names_at(address):
    """What JupyterLab has in its folder; nothing as long as it doesn't answer."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return {entry["name"] for entry in json.load(answer)["content"]}
    except OSError:
        return set()


def ends_by_ctrl_c(server):
    """Press Ctrl-C and give it a second: it asks whether it shall end, and one more is a yes."""
    server.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(1)
    return server.returncode is not None


def test_jupyterlab_opens_on_the_copies_and_ends_with_ctrl_c(installed, tmp_path):
    said, told = tmp_path / "said", tmp_path / "told"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with said.open("w") as out, told.open("w") as err:
        words = [installed / "bin/ddl-lab", "--folder", "mine", "--no-browser", "--port=0", "--allow-root"]
        streams = {"stdin": subprocess.PIPE, "stdout": out, "stderr": err}  # somebody who types nothing
        server = subprocess.Popen(words, cwd=tmp_path, env=environment, **streams)
    try:
        wait_until(lambda: ADDRESS.search(told.read_text()), "JupyterLab's address never came")
        found = ADDRESS.search(told.read_text())
        address = f"http://127.0.0.1:{found[1]}/api/contents?token={found[2]}"
        wait_until(lambda: command.FIRST in names_at(address), "the copies are not there")
    finally:
        wait_until(lambda: ends_by_ctrl_c(server), "it goes on in spite of Ctrl-C")
    assert "JupyterLab starts" in said.read_text()


def test_copies_only_opens_nothing(tmp_path, capsys):
    assert command.main(["--folder", str(tmp_path / "mine"), "--copies-only"]) == 0
    assert (tmp_path / "mine" / command.FIRST).is_file()
    assert "JupyterLab starts" not in capsys.readouterr().out


def test_a_folder_that_would_hide_the_package_is_refused(tmp_path, capsys):
    assert command.main(["--folder", str(tmp_path / "ddl_lab")]) == 1
    assert "would hide the package" in capsys.readouterr().err
    assert not (tmp_path / "ddl_lab").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert command.main(["--folder", str(tmp_path / "file/mine")]) == 1
    assert "ddl-lab: " in capsys.readouterr().err


def test_the_courses_own_folder_is_no_place_for_copies():
    with pytest.raises(LabError, match="the course's own folder"):
        command.prepare(course.folder("labs"))
