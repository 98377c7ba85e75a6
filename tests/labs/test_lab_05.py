"""Lab 05's script: it trains as it stands under torchrun, from a terminal, and its ranks share the digits."""

import os
import re
import subprocess
import sys

import pytest
import torch
from reading import cells, defined

import ddl_lab as lab

EVERY = os.environ.get("DDL_LAB_GATE") == "all"  # ``make gate``
PARTS = {
    "s05-script-frame": "frame",
    "s05-script-parts": "parts_of_script",
    "s05-script-loop": "loop_of_script",
}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


@pytest.fixture(scope="module")
def script():
    return "".join(defined("05", place)[name] for place, name in PARTS.items())


def run(script, folder, ranks):
    (folder / "train_ddp.py").write_text(script)
    command = [*TORCHRUN, "--nproc-per-node", str(ranks), "train_ddp.py"]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=alone)
    assert ended.returncode == 0, ended.stderr
    return re.findall(r"epoch (\d): loss ([\d.]+) over (\d+) digits", ended.stdout)


def test_it_has_some_forty_lines_and_the_lab_writes_just_these(script):
    assert 35 <= len([line for line in script.splitlines() if line.strip()]) <= 50
    assert " + ".join(PARTS.values()) in cells("05")["s05-script-run"]


@pytest.mark.parametrize("ranks", [1, 3] if EVERY else [3])
def test_it_trains_on_every_digit_once_an_epoch_and_a_step_of_two_batches_exchanges_once(
    script, tmp_path, ranks
):
    """As the lab runs it, but that it counts what the wrapper hands over: without no_sync, two a step."""
    told = run(counting(script), tmp_path, ranks)
    steps = 3 * -(-4000 // ranks // 50)  # of two batches of 25
    assert [(tmp_path / f"calls-{rank}").read_text() for rank in range(ranks)] == [str(steps)] * ranks
    digits = -(-4000 // ranks) * ranks  # the sampler repeats a few where they don't come out even
    assert [(int(epoch), int(count)) for epoch, _, count in told] == [(e, digits) for e in range(3)]
    assert float(told[2][1]) < float(told[0][1])
    layers = torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1)
    net = torch.nn.Sequential(*layers)
    net.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    assert lab.accuracy(net, lab.load_digits().test) > 0.7


def test_its_device_is_that_of_its_local_rank_and_its_group_ends_whatever_happens(script):
    assert 'int(os.environ["LOCAL_RANK"])' in script
    assert script.index("finally:") < script.index("dist.destroy_process_group()")


def counting(script):
    """The script, whose ranks leave behind how often they exchanged a bucket."""
    counted = script.replace(
        "    return loader, model",
        "    model.register_comm_hook(None, counted)\n    return loader, model",
    ).replace(
        "def main():",
        "calls = []\ndef counted(state, bucket):\n    calls.append(1)\n"
        "    return dist.all_reduce(bucket.buffer(), async_op=True).get_future()"
        ".then(lambda sent: sent.value()[0] / dist.get_world_size())\n\ndef main():",
    )
    assert counted.count("counted") == 2
    return counted + "open(f\"calls-{os.environ['RANK']}\", 'w').write(str(len(calls)))\n"
