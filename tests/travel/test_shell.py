"""Which shell this process is: a plain Python has none, and IPython is not loaded to find out."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from ddl_lab.travel.shell import in_notebook, shell

ASK = (
    "import sys; from ddl_lab.travel.shell import *; print(shell(), in_notebook(), 'IPython' in sys.modules)"
)


def test_a_plain_python_has_none_and_ipython_is_not_loaded_to_find_out():
    said = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert said.stdout == "None False False\n"


@pytest.mark.parametrize(("kept", "notebook"), [({"kernel": object()}, True), ({}, False)])
def test_a_shell_with_a_kernel_is_a_notebooks(monkeypatch, kept, notebook):
    own = SimpleNamespace(**kept)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: own))
    assert shell() is own and in_notebook() is notebook
