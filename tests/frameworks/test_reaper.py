"""The reaper: whatever a command starts, in whatever session, has ended when it has."""

import signal
import subprocess
import sys

import psutil
import pytest
from waiting import wait_until

from ddl_lab.frameworks import reaper

# a launcher whose grandchild leaves its session, loses its parent, and doesn't hear what it is asked
DETACHED = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        os.close(1), os.close(2)
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
"""
STAYS = DETACHED + "time.sleep(600)\n"
IMPATIENT = "import sys; from ddl_lab.frameworks import reaper; reaper.GRACE_S = 0.2\n"
# as on macOS; whoever is to get away can see in a file that it has been seen
SEES_NO_ORPHANS = """
reaper.become_subreaper = bool
look = reaper.Descendants.look
def told(self):
    there = look(self)
    with open(sys.argv[1] + ".seen", "a") as seen:
        seen.write("".join(f"<{pid}>" for pid in there))
    return there
reaper.Descendants.look = told
"""


def command(folder, code, begin=""):
    """The line of a reaper over ``code``; ``begin`` is run in it before."""
    own = IMPATIENT + begin + "sys.exit(reaper.main(sys.argv[1], sys.argv[2:]))"
    program = [sys.executable, "-c", code, str(folder / "pid"), str(folder / "log.seen")]
    return [sys.executable, "-c", own, str(folder / "log"), *program]


def started(folder, code, begin=""):
    return subprocess.Popen(command(folder, code, begin), stdin=subprocess.PIPE)


def detached(folder):
    """The process that got away from its launcher."""
    file = folder / "pid"
    wait_until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def ended(process):
    process.stdin.close()
    return process.wait(60)


def test_what_left_its_launcher_ends_when_the_launcher_does(tmp_path):
    process = started(tmp_path, DETACHED)
    assert process.wait(60) == 0
    assert gone(detached(tmp_path))
    process.stdin.close()


@pytest.mark.parametrize("how", ["closed", "terminated"])
def test_all_end_when_the_caller_wants_it(tmp_path, how):
    process = started(tmp_path, STAYS)
    pid = detached(tmp_path)
    assert not gone(pid)
    process.stdin.close() if how == "closed" else process.send_signal(signal.SIGTERM)
    assert process.wait(60) == reaper.BROKEN_OFF
    assert gone(pid)
    process.stdin.close()


def test_all_end_when_the_caller_is_killed(tmp_path):
    code = f"import subprocess, time\nsubprocess.Popen({command(tmp_path, STAYS)!r}, stdin=subprocess.PIPE)\n"
    caller = subprocess.Popen([sys.executable, "-c", code + "time.sleep(600)"])
    pid = detached(tmp_path)
    caller.kill()
    caller.wait()
    wait_until(lambda: gone(pid), "it lives on")


def test_an_interrupt_of_the_whole_group_is_the_callers_affair(tmp_path):
    process = started(tmp_path, STAYS)
    pid = detached(tmp_path)
    process.send_signal(signal.SIGINT)
    assert ended(process) == reaper.BROKEN_OFF  # not of the signal
    assert gone(pid)


def test_without_subreapers_it_ends_what_it_has_seen_once(tmp_path):
    waits = "while f'<{pid}>' not in open(sys.argv[2]).read(): time.sleep(0.01)\n"
    code = STAYS.replace("    if os.fork() == 0:", "    if (pid := os.fork()) == 0:")
    code = code.replace("    os._exit(0)", f"    {waits}    os._exit(0)")
    (tmp_path / "log.seen").touch()
    process = started(tmp_path, code, SEES_NO_ORPHANS)
    pid = detached(tmp_path)
    wait_until(lambda: psutil.Process(pid).ppid() not in [p.pid for p in tree(process.pid)], "it never left")
    assert ended(process) == reaper.BROKEN_OFF
    assert gone(pid)


def tree(pid):
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def test_the_exit_code_is_the_commands(tmp_path):
    assert ended_by_itself(tmp_path, "raise SystemExit(3)") == 3
    assert ended_by_itself(tmp_path, "import os; os.kill(os.getpid(), 9)") == 128 + 9


def ended_by_itself(folder, code):
    process = started(folder, code)
    try:
        return process.wait(60)
    finally:
        process.stdin.close()


def test_a_program_that_is_not_there_is_told_in_the_log(tmp_path):
    line = [sys.executable, reaper.__file__, str(tmp_path / "log"), "/no/such/program"]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as process:
        assert process.wait(60) == 127
    assert "/no/such/program: No such file" in (tmp_path / "log").read_text()
