"""What a source may say: each gaming attempt that can be read off the text is refused, with its line."""

import pytest

from ddl_lab.exercises.contest.rules import LONGEST, NotAllowed, check_rules

HEAD = "def worker(node):\n    "


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("w = open('weights.pt').read()", "open"),
        ("w = torch.load('weights.pt')", r"\.load"),
        ("w = np.fromfile('weights')", r"\.fromfile"),
        ("x = lab.load_digits().train.x", r"\.load_digits"),
        ("pixels = task._scored", r"\._scored"),
        ("node._port.time = 0.0", r"\._port"),
        ("w = node.__class__", r"\.__class__"),
        ("exec('x = 1')", "exec"),
        ("w = getattr(task, 'seed')", "getattr"),
        ("w = __import__('os')", "__import__"),
        ("import os", "import os"),
        ("import numpy, pathlib", "import pathlib"),
        ("from pathlib import Path", "import pathlib"),
        ("from ddl_lab import load_digits as x", "import ddl_lab.load_digits"),
        ("from torch import load", "import torch.load"),
        ("from ddl_lab.exercises.contest import digits", "import ddl_lab.exercises"),
        ("from .digits import tested", "import digits|import ."),
        ("import torch.hub", "import torch.hub"),
        ("type(node).best = 1", r"type\(node\)\.best"),
        ("import math; math.best = node.rank", r"math\.best"),
        ("import torch; torch.nn.best = node.rank", r"torch\.nn\.best"),
        ("import ddl_lab as lab; lab.best += 1", r"lab\.best"),
    ],
)
def test_files_data_and_what_is_private_are_refused_with_their_line(line, what):
    with pytest.raises(NotAllowed, match=f"may not use `{what}") as caught:
        check_rules(f"{HEAD}{line}\n    return None\n")
    assert str(caught.value).endswith(f"The line is: {line}")


def test_what_an_honest_entry_says_is_allowed():
    check_rules(
        "from __future__ import annotations\n\nimport math\nimport ddl_lab as lab\n"
        "import torch.nn.functional as F\nfrom ddl_lab.training.optimisers import adam_step\n\n\n"
        "def worker(node):\n"
        "    for _ in range(3):\n        input = node.rank\n        node.own = input\n"
        "        task.save(node, x=F.relu(lab.parameters(model)))\n"
    )


def test_a_source_that_could_carry_a_network_is_too_long():
    with pytest.raises(NotAllowed, match="12,000"):
        check_rules(HEAD + f"return {'1' * LONGEST}")


def test_a_text_that_is_no_python_is_told():
    with pytest.raises(NotAllowed, match="no Python"):
        check_rules("def worker(node:")
