"""What all tests stand on."""

import signal

import pytest
from order import place

collect_ignore_glob = ["labs/old/*"]  # not labs of today: tests/labs/test_moved.py runs them


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: place(item.path.relative_to(config.rootpath)))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Tests press Ctrl-C; a shell that has started them in the background lets SIGINT be ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
