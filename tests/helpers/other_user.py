"""Python code run as a user who owns nothing here: no process, no file, and none of root's rights."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 64_014  # a user without other processes: the limit counts all of a user's
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
# whose interpreter may lie in a folder of root's; of root's other rights it has none, or no limit would hold
AS_NOBODY += [f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")]


@pytest.fixture
def as_nobody(tmp_path):
    """Runs Python code as a user who has no other processes; returns what it printed."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("root and setpriv are needed to run as another user; root itself is not bound by limits")
    may = subprocess.run([*AS_NOBODY, "true"], capture_output=True, text=True)
    if may.returncode:
        pytest.skip(f"this system lets root give up no rights: {may.stderr.strip()}")
    os.chown(tmp_path, NOBODY, NOBODY)
    script, one_each = tmp_path / "script.py", dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    places = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    places |= dict.fromkeys(("HOME", "TMPDIR", "DDL_LAB_HOME"), str(tmp_path))

    def runs(code, *arguments):
        script.write_text(code)
        command = [*AS_NOBODY, sys.executable, str(script), *arguments]
        environ = os.environ | one_each | places
        done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return runs
