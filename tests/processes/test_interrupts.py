"""An interrupt at every line of a run, in turn: it ends, no process stays, and the history is kept."""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from faulty import hold, nothing_stays_behind, started, transport
from waiting import wait_until

import ddl_lab as lab
from ddl_lab.processes.watch.interrupts import Flag, Interrupts
from ddl_lab.processes.watch.supervisor import Supervisor

assert nothing_stays_behind and transport  # fixtures
PACKAGE = str(Path(lab.__file__).parent)
FUZZ = bool(os.environ.get("DDL_LAB_FUZZ"))


class Lines:
    """Calls ``at`` before each line of the package that this thread comes to once processes may exist."""

    def __init__(self, at):
        self.at, self.begin, self.seen = at, Supervisor.start.__code__, []

    def __enter__(self):
        sys.settrace(self._call)

    def __exit__(self, *_):
        sys.settrace(None)

    def _call(self, frame, event, arg):
        if self.begin is frame.f_code:
            self.begin = None
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame, event, arg):
        if event == "line" and self.begin is None:
            self.seen.append((frame.f_code.co_filename, frame.f_lineno))
            self.at(len(self.seen) - 1)
        return self._line


def interrupt():
    signal.raise_signal(signal.SIGINT)


def brief(node):
    node.record(at=1)
    time.sleep(0.05)


def in_the_foreground(transport, runs):
    lab.run(brief, 2, transport=transport)


def started_and_waited_for(transport, runs):
    runs.append(lab.start(brief, 2, transport=transport))
    runs[0].wait()


def started_and_stopped(transport, runs):
    runs.append(lab.start(brief, 2, transport=transport))
    runs[0].stop()


def slowed_and_killed(transport, runs):
    runs.append(lab.start(brief, 2, transport=transport))
    runs[0].slow(0, 2)
    runs[0].kill(1)


DEEDS = [in_the_foreground, started_and_waited_for, started_and_stopped, slowed_and_killed]


def lines_of(deed, transport):
    runs, lines = [], Lines(lambda n: None)
    with lines:
        deed(transport, runs)
    for run in runs:
        run.stop()
    return lines.seen


def places(deed, transport):
    """Numbers of line events of ``deed``: each line's first; fewer over gloo, of which no line knows."""
    seen = lines_of(deed, transport)
    if FUZZ:
        return range(len(seen))
    first = {place: n for n, place in reversed(list(enumerate(seen)))}
    return sorted(first.values())[:: 1 if transport == "shm" else 4]


def interrupted_at(numbers, deed, transport):
    """What became of ``deed``, interrupted before its lines of these numbers: its error, and runs it held."""
    runs, lines = [], Lines(lambda n: interrupt() if n in numbers else None)
    try:
        with lines:
            deed(transport, runs)
    except KeyboardInterrupt as error:
        return error, runs
    return None, runs


def goes_on():
    """Whether a run does: its supervisor ends when its processes are gone."""
    return any(isinstance(thread, Supervisor) for thread in threading.enumerate())


@pytest.mark.parametrize("deed", DEEDS)
def test_an_interrupt_at_any_line_ends_the_run_and_keeps_its_history(deed, transport):
    went_on = 0
    for n in places(deed, transport):
        error, runs = interrupted_at({n}, deed, transport)
        if error is not None and hasattr(error, "history"):
            assert not goes_on() and error.history.nodes == 2, n
        elif error is not None:
            went_on += 1
            assert runs, n  # the caller has it, and can end it
            runs[0].stop()
        for run in runs:
            run.stop()
        assert not goes_on(), n
    assert went_on <= {in_the_foreground: 0, slowed_and_killed: 1000}.get(deed, 1), "before the first line"


@pytest.mark.parametrize("deed", DEEDS[:3])
def test_any_number_of_interrupts_end_a_run_as_one_does(deed, transport):
    chance = random.Random(0)
    count = len(lines_of(deed, transport))
    handler = signal.getsignal(signal.SIGINT)
    for _ in range(200 if FUZZ else 5):
        numbers = {chance.randrange(count) for _ in range(chance.randint(2, 30))}
        error, runs = interrupted_at(numbers, deed, transport)
        assert signal.getsignal(signal.SIGINT) is handler, numbers
        assert error is not None, numbers
        if not runs:  # a later one lets the caller go before the processes are gone: they end all the same
            wait_until(lambda: not goes_on(), f"a run goes on that nobody has: {numbers}")
        for run in runs:
            run.stop()
        assert not goes_on()


def test_stop_ends_a_run_whose_paused_rank_has_been_slowed_a_thousand_times(transport):
    """It reads none of these orders: what its socket has room for is soon full."""
    run = started(hold_on, 2, transport)
    wait_until(lambda: len(run.history.metrics) == 2)
    run.pause(1)
    hands = run._supervisor
    for _ in range(1000):
        hands._orders.append((1, "slow", lambda: hands._told(1, "slow", 2.0), Flag()))
    run.slow(1, 3)
    run.stop()
    assert run.done


def hold_on(node):
    node.record(at=1)
    hold()


class Over:
    done, history = True, None

    def _end(self, reason, wait=True):
        pass


def test_an_interrupt_that_may_cut_the_end_short_leaves_no_handler_behind():
    """One that stayed would swallow the next Ctrl-C of the kernel."""
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupts([Over()]):
        interrupt()  # kept
        with pytest.raises(KeyboardInterrupt):
            interrupt()  # nothing is left to be ended
        assert signal.getsignal(signal.SIGINT) is handler
