"""A test that hangs is ended, and told."""

import subprocess
import sys

TWO = """
import time

def test_hangs():
    while True:
        time.sleep(0.1)

def test_next():
    pass
"""


def test_a_test_that_hangs_fails_in_words_and_the_next_one_runs(tmp_path, pytestconfig):
    (tmp_path / "test_two.py").write_text(TWO)
    assert 0 < float(pytestconfig.getini("timeout")) <= 300
    command = [sys.executable, "-m", "pytest", "-q", "--timeout=1", "--rootdir", str(tmp_path), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "1 failed, 1 passed" in ended.stdout and "Timeout" in ended.stdout
