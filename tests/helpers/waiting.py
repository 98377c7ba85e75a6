"""Waiting for what another process does: as long as it takes, and not for ever."""

import time

PATIENCE_S = 30.0  # other work may have this machine's cores


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
