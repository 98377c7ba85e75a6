"""What all tests stand on."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Tests press Ctrl-C; a shell that has started them in the background lets SIGINT be ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
