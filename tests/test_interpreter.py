"""The interpreter beside a notebook: what ranks print, raise, return and wait for; and that it ends."""

import os
import subprocess
import sys

import psutil
import pytest
import torch
from waiting import AGES_S, patience, wait_until

from ddl_lab.interpreter import Interpreter

JOINED = """
import torch, torch.distributed as dist
dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world_size)
"""


@pytest.fixture(scope="module")
def python():
    interpreter = Interpreter()
    yield interpreter
    interpreter.close()


def test_it_tells_the_line_and_the_last_line_of_the_traceback(python):
    tried = python("x = 1\nprint(x)\ny = z + x\n")
    assert tried.printed == ["1\n"] and tried.errors == ["NameError: name 'z' is not defined"]
    assert repr(tried) == "1\ny = z + x\n    NameError: name 'z' is not defined"


def test_an_error_within_a_library_is_told_at_our_line_and_without_its_folder(python):
    tried = python("import json\njson.loads('no')\n")
    assert repr(tried).startswith("json.loads('no')\n    JSONDecodeError: ")
    tried = python("from torch.distributed import Tensor")
    assert tried.errors == ["ImportError: cannot import name 'Tensor' from 'torch.distributed'"]


def test_nothing_is_left_from_one_try_to_the_next(python):
    python("import torch\ntorch.set_num_threads(3)\nkept = 1")
    tried = python("import torch\nprint(torch.get_num_threads(), 'kept' in globals())")
    assert tried.printed == ["1 False\n"]


def test_ranks_meet_and_what_they_call_result_comes_back(python):
    tried = python(JOINED + "result = torch.full((2,), float(rank))\ndist.all_reduce(result)", ranks=3)
    assert tried.errors == [""] * 3
    assert all(torch.equal(result, torch.full((2,), 3.0)) for result in tried.results)
    assert repr(tried) == "all 3 ranks: ran to its end, and printed nothing"


def test_a_rank_finds_the_digits_loaded_and_starts_no_process(python):
    tried = python("""
import psutil, ddl_lab as lab
lab.load_digits()
print(psutil.Process().children(recursive=True))
""")
    assert tried.printed == ["[]\n"]


def test_ranks_that_say_different_things_are_told_apart(python):
    assert repr(python("print(rank * 10)", ranks=2)) == "rank 0: 0\nrank 1: 10"


def test_whoever_is_done_first_leaves_last(python):
    for _ in range(5):  # a rank that leaves while others connect makes them fail
        assert python(JOINED, ranks=4).errors == [""] * 4


def test_a_rank_that_waits_is_ended(python):
    with patience():
        tried = python(f"import time\nif rank: time.sleep({AGES_S})", ranks=2, timeout_s=2.0)
    assert tried.errors == ["", "still waiting after 2 s, and ended from outside"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("os._exit(3)", "ended with exit code 3"),
        ("raise SystemExit(2)", "SystemExit: 2"),
    ],
)
def test_a_rank_that_dies_is_told(python, line, told):
    assert python(f"import os\n{line}").errors == [told]


def test_launchers_variables_and_the_networks_other_devices_are_kept_away(monkeypatch):
    monkeypatch.setenv("RANK", "7")
    interpreter = Interpreter()
    names = "os.environ.get('RANK'), os.environ['GLOO_SOCKET_IFNAME'][:2]"
    assert interpreter(f"import os\nprint({names})").printed == ["None lo\n"]
    interpreter.close()


def test_the_meeting_place_is_private_and_gone_afterwards(python):
    lines = "import os\nplace = os.path.dirname(meeting[7:])\nprint(place, oct(os.stat(place).st_mode)[-3:])"
    place, mode = python(lines).printed[0].split()
    assert mode == "700" and not os.path.exists(place)


def test_nothing_is_left_when_the_notebook_is_killed(tmp_path):
    lines = f"import os, time; open('{tmp_path}/' + str(os.getpid()), 'w').close(); time.sleep({AGES_S})"
    asked = f"from ddl_lab.interpreter import Interpreter; Interpreter()({lines!r}, ranks=2)"
    folder = tmp_path / "temporary"
    folder.mkdir()
    notebook = subprocess.Popen([sys.executable, "-c", asked], env=os.environ | {"TMPDIR": str(folder)})
    wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
    ranks = [int(note.name) for note in tmp_path.iterdir() if note != folder]
    interpreter = psutil.Process(ranks[0]).ppid()
    (place,) = folder.glob("tmp*")
    notebook.kill()
    notebook.wait()
    wait_until(lambda: not any(map(psutil.pid_exists, [interpreter, *ranks])))
    assert not place.exists()


def test_lines_that_are_no_python_are_told_before_anything_runs(python):
    with pytest.raises(SyntaxError):
        python("while")


def test_it_ends_with_its_ranks_when_closed_and_begins_anew_when_asked():
    interpreter = Interpreter()
    pid = int(interpreter("import os\nprint(os.getppid())").printed[0])
    interpreter.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert interpreter("print(1)").printed == ["1\n"]
    interpreter.close()
