"""The same file under a real torchrun trains the same parameters."""

import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
import torch
from faulty import FUZZ
from jobs import GOES_ON, ROOT, free_port, killed, torchrun
from waiting import wait_until

import ddl_lab as lab

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
        swapped = torch.arange(4.0) + 10 * node.rank
        handle = node.all_to_all_single(swapped.clone(), swapped.clone(), async_op=True)
        node.all_to_all_single(swapped, swapped.clone())
        handle.wait()
        parts = [torch.empty(rank) for rank in range(4)] if node.rank == 1 else None
        node.gather(torch.full((node.rank,), float(node.rank)), parts, dst=1)
        node.reduce(swapped, 1)
        return lab.parameters(model), mark, sorted(sources), torch.cat([swapped, *(parts or [])])

    if __name__ == "__main__":
        history = lab.run(worker, nodes=4)
        again = lab.run(lambda node: node.rank, nodes=4)
        assert again.results == [0, 1, 2, 3]
        if len(sys.argv) > 1:
            import os
            history.save(f"{sys.argv[1]}-{os.environ.get('RANK', 'alone')}.npz")
"""


@pytest.mark.parametrize("hosts", [1, 2] if FUZZ else [2])  # on one host others below start
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
        for (theirs, *_), (ours, *_) in zip(job.results, alone.results, strict=True):
            assert (theirs - ours).norm() <= 1e-6 * ours.norm()
        assert [mark[0].item() for _, mark, *_ in job.results] == [0, 0, 2, 2]
        assert job.results[0][2] == [1, 2, 3]
        assert job.results[1][3].tolist() == [6.0, 46.0, 86.0, 126.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0]
        assert job.results[2][3].tolist() == [2.0, 12.0, 22.0, 32.0]
        assert job.bytes_sent == alone.bytes_sent and job.about["launcher"] == "torchrun"


@pytest.mark.parametrize("again", range(20 if FUZZ else 1))
def test_ranks_that_are_killed_are_restarted_and_the_numbers_are_those_without_failures(tmp_path, again):
    script = tmp_path / "goes_on.py"
    script.write_text(GOES_ON)
    done = torchrun(script, tmp_path, "3-1", "6-0", nodes=2, options=["--max-restarts", "3"])
    assert done.returncode == 0, done.stderr
    assert killed(tmp_path) == ["3-1", "6-0"]
    for state in torch.load(tmp_path / "results.pt"):
        assert torch.allclose(state, undisturbed(script, 2), rtol=1e-6)


def undisturbed(script, nodes):
    """What the worker of ``script`` comes to where nobody dies."""
    worker = runpy.run_path(script)["worker"]
    return lab.simulate(worker, nodes, args=(None, ())).results[0]


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
    assert "refused: nodes=3, and this is one of the 2 processes of a job (WORLD_SIZE=2)" in done.stdout
    assert "refused: transport='shm' under torchrun: choose 'auto', 'gloo'" in done.stdout


def test_outside_of_a_job_its_variables_are_not_there():
    assert not {"RANK", "WORLD_SIZE"} <= os.environ.keys()
    assert lab.run(lambda node: torch.ones(1).item(), 1, progress=False).results == [1.0]


# the same variables without torchrun: as PyTorchJob, Ray and Dask set them, or a tutorial's lines

ALONE = """
    import sys, time
    import ddl_lab as lab

    def hangs(node):
        try:
            while True:
                time.sleep(0.01)
        except Exception:
            print("caught")

    def waits(node):
        node.recv(lab.parameters(lab.make_model(0)), 1)

    worker = {worker}
    run = lab.run  # which loads all that it needs
    print("here", file=sys.stderr, flush=True)
    try:
        print(run(worker, {nodes}, timeout_s={limit}).results)
    except lab.LabError as error:
        print(f"{{type(error).__name__}}: {{error}} {{error.history and len(error.history.results)}}")
    print("goes on")
"""


def rank(tmp_path, rank, size, port, worker="lambda node: node.rank", limit=None):
    """A process with the variables of a job, which torchrun has not started."""
    script = tmp_path / f"rank{rank}.py"
    script.write_text(textwrap.dedent(ALONE.format(worker=worker, nodes=size, limit=limit)))
    job = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | {name: str(value) for name, value in job.items()}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environ}
    return subprocess.Popen([sys.executable, script], **pipes)


def test_the_variables_alone_make_a_script_a_rank(tmp_path):
    port = free_port()
    ranks = [rank(tmp_path, k, 2, port) for k in range(2)]
    said = [process.communicate(timeout=120) for process in ranks]
    assert [out for out, _ in said] == ["[0, 1]\ngoes on\n"] * 2, said


def test_an_interface_that_is_not_there_is_named_and_nobody_is_blamed(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nope0")
    out, err = rank(tmp_path, 0, 1, free_port(), limit=20).communicate(timeout=120)
    assert out.startswith("LabError: rank 0: GLOO_SOCKET_IFNAME=nope0 names no interface of this"), (out, err)


@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_nobody_joins_says_so_and_names_the_variables(tmp_path, who):
    out, err = rank(tmp_path, who, 3, free_port(), limit=2).communicate(timeout=120)
    assert re.match(rf"LabError: rank {who} is not joined by all 3 .*WORLD_SIZE=3.* within 2 s", out), err
    assert "unset them if it is none" in out and out.endswith("goes on\n"), out


def test_an_interrupt_ends_a_rank_that_nobody_joins(tmp_path):
    waiting = rank(tmp_path, 0, 2, port := free_port())
    waiting.stderr.readline()
    wait_until(lambda: listens(port))
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=20)
    assert "KeyboardInterrupt" in err and not out


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_the_end_of_the_time_does_not_end_a_process_that_torchrun_has_not_started(tmp_path):
    port = free_port()
    alone = rank(tmp_path, 0, 1, port, "hangs", 3)  # in which it must meet, too
    out, err = alone.communicate(timeout=120)
    told = r"StoppedRun: rank 0 is not finished after timeout_s=3: it computes.* 1\ngoes on\n"
    assert re.fullmatch(told, out), (out, err)


def test_the_end_of_the_time_wakes_a_rank_that_waits_for_another(tmp_path):
    port = free_port()
    ranks = [rank(tmp_path, k, 2, port, ["waits", "hangs"][k], 6) for k in range(2)]
    out, err = ranks[0].communicate(timeout=120)
    assert "StoppedRun: rank 0 is not finished after timeout_s=6: it waits in recv" in out, (out, err)
    assert "goes on" in out
    ranks[1].communicate(timeout=60)


@pytest.mark.parametrize(("who", "size"), [("1", "1"), ("zero", "2"), ("-1", "2")])
def test_a_rank_that_a_job_cannot_have_is_refused(monkeypatch, who, size):
    for name, text in {"RANK": who, "WORLD_SIZE": size, "MASTER_ADDR": "x", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=f"RANK='{who}' and WORLD_SIZE='{size}' in the environment"):
        lab.run(lambda node: None, 2)


def test_one_process_of_a_job_that_somebody_forgot_says_which_variables_to_unset(monkeypatch):
    for name, text in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "x", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=r"the 1 process of a job \(WORLD_SIZE=1\).*unset them"):
        lab.run(lambda node: None, 2, progress=False)
