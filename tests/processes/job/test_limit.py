"""A rank's time is over: whatever its thread does then, it hears of that."""

import signal
import threading
import time
from types import SimpleNamespace

import pytest
from waiting import AGES_S, patience

from ddl_lab.errors import StoppedRun
from ddl_lab.processes.job.limit import TimeLimit

LIMIT_S = 0.1


def limited(work):
    """What is said of a rank that does ``work`` when its time is over."""
    endpoint = SimpleNamespace(rank=3, doing=lambda: "computes")
    with pytest.raises(StoppedRun) as caught, TimeLimit(endpoint, SimpleNamespace(wake=bool), LIMIT_S):
        work()
    return str(caught.value)


def spin():
    while True:
        time.sleep(0.001)


@pytest.mark.parametrize("work", [lambda: time.sleep(AGES_S), threading.Event().wait, spin])
def test_a_sleep_a_wait_and_a_loop_end_when_the_time_is_over(work):
    before = signal.getsignal(signal.SIGURG)
    with patience():
        assert limited(work) == "rank 3 is not finished after timeout_s=0.1: it computes"
    assert signal.getsignal(signal.SIGURG) == before


def test_a_loop_in_a_thread_of_somebody_elses_program_ends_too():
    told = []
    thread = threading.Thread(target=lambda: told.append(limited(spin)), daemon=True)
    thread.start()
    thread.join(60)
    assert told == ["rank 3 is not finished after timeout_s=0.1: it computes"]


def test_who_is_done_in_time_hears_nothing_later():
    with TimeLimit(SimpleNamespace(rank=0), SimpleNamespace(), LIMIT_S):
        pass
    time.sleep(2 * LIMIT_S)
