"""What a rank prints, in whatever way, and what it finds where a program has its keyboard."""

import re
import subprocess
import sys
import time

import pytest

import ddl_lab as lab
from ddl_lab.processes.launch import output
from ddl_lab.processes.launch.output import Stream


@pytest.fixture
def stream(monkeypatch):
    """A stream whose moment is over at once, and what it has told."""
    monkeypatch.setattr(output, "UNFINISHED_S", 0.0)
    told = []
    made = Stream(told.append)
    made.told = told
    return made


def test_an_unfinished_line_is_told_and_again_when_there_is_more_of_it(stream):
    stream.look()
    for text in (".", "", ".", " done\n", "next\n"):
        stream.write(text)
        stream.look()
    assert stream.told == [".", "..", ".. done", "next"]


def test_a_line_that_was_told_unfinished_is_not_told_twice(stream):
    stream.write("wait")
    stream.look()
    stream.write("\n")
    stream.write("wait\n")
    stream.finish()
    assert stream.told == ["wait", "wait"]


def test_of_a_line_that_is_written_over_the_last_is_told(stream):
    for text in ("\r 0%", "\r50%", "\r100%\n", "by itself\r\n"):
        stream.write(text)
    assert stream.told == ["100%", "by itself"]


def test_bytes_and_characters_go_one_way(stream):
    stream.buffer.write("Zü".encode()[:2])
    stream.buffer.write("Zü".encode()[2:])
    stream.write("rich\n")
    assert stream.told == ["Zürich"] and stream.encoding == "utf-8"


def test_a_line_without_an_end_appears_while_the_worker_goes_on(capfd):
    def worker(node):
        print("at it", end="")
        sys.stderr.write("\r 1 of 9")
        time.sleep(2.0)
        print("\rthat was it", end="")

    lab.run(worker, 1)
    out, err = capfd.readouterr()
    assert out == "[rank 0] at it\n[rank 0] that was it\n" and "[rank 0]  1 of 9\n" in err


def test_a_ranks_output_has_a_descriptor_and_a_buffer_as_a_programs_has(capfd):
    def worker(node):
        sys.stdout.buffer.write(b"bytes\n")
        subprocess.run(["echo", "from a program"], stdout=sys.stdout, stderr=sys.stderr, check=True)
        return sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.buffer.fileno()

    assert lab.run(worker, 1).results == [(1, 2, 1)]
    assert set(capfd.readouterr().out.splitlines()) == {"[rank 0] bytes", "[rank 0] from a program"}


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (input, r"a rank has no keyboard.*args="),
        (lambda: sys.stdin.read(), "a rank has no keyboard"),
        (breakpoint, r"breakpoint\(\) in a rank, .*lab\.simulate"),
    ],
)
def test_a_rank_that_asks_its_keyboard_is_told_what_to_do_instead(deed, told):
    with pytest.raises(lab.WorkerError, match=re.compile(f"rank 0 raised RuntimeError: {told}", re.S)):
        lab.run(lambda node: deed(), 1, progress=False)
