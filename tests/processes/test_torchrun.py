"""The same file under a real torchrun trains the same parameters."""

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import ddl_lab as lab

ROOT = Path(__file__).parents[2]
TRAIN = """
    import sys
    import torch
    import ddl_lab as lab

    digits = lab.load_digits()

    def worker(node):
        model = lab.make_model(seed=0)
        for x, y in lab.batches(digits.train, node, batch_size=100):
            with node.compute(samples=len(x)):
                loss = lab.bce_with_logits(model(x), y)
                gradient = lab.gradient(loss, model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)
            node.record(loss=loss)
        pair = node.group([node.rank // 2 * 2, node.rank // 2 * 2 + 1])
        mark = torch.full((3,), float(node.rank))
        pair.broadcast(mark, src=0)
        box = torch.zeros(2)
        if node.rank == 0:
            sources = [node.recv(box) for _ in range(node.world_size - 1)]
        else:
            node.send(box + node.rank, 0)
            sources = []
        return lab.parameters(model), mark, sorted(sources)

    if __name__ == "__main__":
        history = lab.run(worker, nodes=4)
        again = lab.run(lambda node: node.rank, nodes=4)
        assert again.results == [0, 1, 2, 3]
        if len(sys.argv) > 1:
            import os
            history.save(f"{sys.argv[1]}-{os.environ.get('RANK', 'alone')}.npz")
"""


def torchrun(script, *arguments, nodes=4, hosts=1):
    """The agents of all ``hosts``, which are this one: exit code, output and errors of the first."""
    place = ["--standalone"]
    if hosts > 1:
        place = [f"--nnodes={hosts}", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}"]
    command = [sys.executable, "-m", "torch.distributed.run", *place, f"--nproc-per-node={nodes // hosts}"]
    command += [str(script), *map(str, arguments)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environ}
    agents = [subprocess.Popen(command, **pipes) for _ in range(hosts)]
    said = [agent.communicate(timeout=180) for agent in agents]
    return subprocess.CompletedProcess(command, max(agent.returncode for agent in agents), *said[0])


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("hosts", [1, 2])
def test_the_same_file_trains_the_same_parameters_alone_and_under_torchrun(tmp_path, hosts):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(TRAIN))
    done = torchrun(script, tmp_path / "job", hosts=hosts)
    assert done.returncode == 0, done.stderr
    subprocess.run(
        [sys.executable, script, tmp_path / "job"],
        check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    alone = lab.History.load(tmp_path / "job-alone.npz")
    for rank in range(4):
        job = lab.History.load(tmp_path / f"job-{rank}.npz")
        assert len(job.metrics) == len(alone.metrics) == 40, "every rank has the history of all"
        for (theirs, _, _), (ours, _, _) in zip(job.results, alone.results, strict=True):
            assert (theirs - ours).norm() <= 1e-6 * ours.norm()
        assert [mark[0].item() for _, mark, _ in job.results] == [0, 0, 2, 2]
        assert job.results[0][2] == [1, 2, 3]
        assert job.bytes_sent == alone.bytes_sent and job.about["launcher"] == "torchrun"


FAULTS = """
    import torch
    import ddl_lab as lab

    def raises(node):
        node.record(at=node.rank)
        if node.rank == 1:
            raise ValueError("bad shard")
        node.barrier()

    def disagrees(node):
        node.all_reduce(torch.ones(2 + node.rank))

    def hangs(node):
        if node.rank:
            node.barrier()
        else:
            node.recv(torch.ones(1), 1)

    for options in ({{"nodes": 3}}, {{"nodes": 2, "transport": "shm"}}):
        try:
            lab.run(raises, **options)
        except ValueError as error:
            print("refused:", error)
    try:
        lab.run({fault}, nodes=2, timeout_s={limit})
    except lab.WorkerError as error:
        print("kept:", error.history.metrics["at"].tolist())
        raise
"""


@pytest.mark.parametrize(
    ("fault", "limit", "told"),
    [
        ("raises", "float('inf')", "rank 1 raised ValueError: bad shard"),
        ("disagrees", None, "rank 1: all_reduce(op=sum) of float32 (3,)"),
        ("hangs", 3, "it waits in"),
    ],
)
def test_faults_under_torchrun_end_the_job_in_words(tmp_path, fault, limit, told):
    script = tmp_path / "faulty.py"
    script.write_text(textwrap.dedent(FAULTS.format(fault=fault, limit=limit)))
    done = torchrun(script, nodes=2)
    assert done.returncode != 0 and told in done.stderr, done.stderr
    assert ("kept: [1.0]" in done.stdout) == (fault == "raises"), done.stdout
    assert "refused: nodes=3, and torchrun started 2 processes" in done.stdout
    assert "refused: transport='shm' under torchrun: choose 'auto', 'gloo'" in done.stdout


def test_outside_of_a_job_its_variables_are_not_there():
    assert not {"RANK", "WORLD_SIZE"} <= os.environ.keys()
    assert lab.run(lambda node: torch.ones(1).item(), 1, progress=False).results == [1.0]
