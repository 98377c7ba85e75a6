"""The shell of IPython that this process is, if it is one: asked for without loading IPython."""

import sys
from typing import Any


def shell() -> Any:
    """The notebook's kernel or IPython's terminal; None in a plain Python."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    return getattr(shell(), "kernel", None) is not None
