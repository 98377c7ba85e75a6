"""A lab as a new reader gets it: without outputs. Imports nothing of the package: setup.py reads it too."""

from __future__ import annotations

import json
from pathlib import Path


def without_outputs(path: Path) -> str:
    """The notebook at ``path``, its cells' outputs and numbers taken away, as text."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
