"""Waiting for what another process does: as long as it takes, and not for ever.

How fast something is, ``make bench`` measures: other work may have this machine's cores while the tests
run. A test only says that it doesn't take for ever: less than what it would wait for otherwise, ``AGES_S``.
"""

import contextlib
import time

PATIENCE_S = 60.0  # with a dozen busy programs on two cores, what takes a second took up to twenty
AGES_S = 600.0  # what a worker sleeps whom nobody waits for


def eventually(condition, seconds=PATIENCE_S):
    """Whether ``condition`` came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def wait_until(condition, told="it did not come true in time", seconds=PATIENCE_S):
    """As ``eventually``, and fails with ``told`` where it did not."""
    assert eventually(condition, seconds), told


@contextlib.contextmanager
def patience(seconds=PATIENCE_S):
    """What is done inside must end within a busy machine's patience, not after ``AGES_S``."""
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    assert took_s < seconds, f"it took {took_s:.1f} s"
