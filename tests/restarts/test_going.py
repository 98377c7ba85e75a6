"""keep_going: after a failure a run goes on from what its worker saved, on one time axis."""

import os
import signal
from functools import partial

import pytest
import torch

import ddl_lab as lab

quietly = partial(lab.keep_going, progress=False)
FREE = {"latency_s": 0.0, "bandwidth_bytes_per_s": 1e30}
STEPS = 8
SEED = 376397  # of a mean of 2 s: nobody fails in half a second; then one after 0.12 s; then none in 9 s


def saved(folder):
    path = folder / "checkpoint.pt"
    return torch.load(path) if path.exists() else {"step": 0, "state": torch.zeros(3)}


def save(folder, step, state):
    """The file is the old one or the new one, whenever a process dies."""
    torch.save({"step": step, "state": state}, folder / "new.pt")
    os.replace(folder / "new.pt", folder / "checkpoint.pt")


def trains(node, folder, span_s=0.05, doomed=()):
    """Adds up a sum over nodes a step, and saves; of ``doomed`` (step, rank) a rank dies there, once."""
    found = saved(folder)
    state = found["state"]
    node.barrier()  # all have read it
    for step in range(found["step"], STEPS):
        with node.compute(seconds=span_s):
            part = torch.rand(3, generator=torch.Generator().manual_seed(step)) * (node.rank + 1)
        if (step, node.rank) in doomed and not (folder / f"died-{step}").exists():
            (folder / f"died-{step}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        node.all_reduce(part, op="mean")
        state += part
        node.record(step_done=step)
        if node.rank == 0:
            save(folder, step + 1, state)
        node.barrier()
    return state


@pytest.fixture
def undisturbed(tmp_path):
    (tmp_path / "undisturbed").mkdir()
    return lab.simulate(trains, 2, args=(tmp_path / "undisturbed",)).results[0]


@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_ranks_killed_by_a_signal_are_started_again_and_the_numbers_are_those_without_failures(
    tmp_path, undisturbed, transport
):
    history = quietly(trains, 2, transport=transport, args=(tmp_path, 0.0, ((2, 1), (5, 0))))
    assert all(torch.allclose(state, undisturbed, rtol=1e-6) for state in history.results)
    assert transport == "gloo" or torch.equal(history.results[0], undisturbed)
    assert [(nodes, rank) for nodes, rank, _ in history.attempts] == [(2, 1), (2, 0), (2, None)]
    assert history.clock == "wall" and history.attempts[-1].at_s == history.elapsed_s
    rows = history.metrics[history.metrics["rank"] == 0]
    assert rows["time_s"].is_monotonic_increasing and rows["step"].is_monotonic_increasing
    assert rows["step_done"].tolist()[-3:] == [5, 6, 7], "it went on where it had been"


def test_on_the_virtual_and_the_paced_clock_attempts_fail_at_the_same_times(tmp_path, undisturbed):
    cluster = lab.Cluster(**FREE, fails={1: 0.17}, mtbf_s=2.0, seed=SEED)
    histories = []
    for virtual in (True, False):
        folder = tmp_path / str(virtual)
        folder.mkdir()
        histories.append(quietly(trains, 2, cluster=cluster, virtual=virtual, restart_s=0.25, args=(folder,)))
    simulated, paced = histories
    assert all(torch.equal(state, undisturbed) for state in (*simulated.results, *paced.results))
    assert len(simulated.attempts) == 3 and simulated.attempts[0] == (2, 1, 0.17)
    assert simulated.attempts[:-1] == paced.attempts[:-1]
    assert (simulated.clock, paced.clock) == ("virtual", "paced")
    for history in histories:
        for _, rank, at_s in history.attempts[:-1]:
            starts = history.spans["start_s"]
            assert not ((starts > at_s) & (starts < at_s + 0.25)).any(), "nobody is at work meanwhile"
            assert (at_s, rank, "killed") in history.about["marks"]


def work_for(node, spans=4):
    for _ in range(spans):
        with node.compute(samples=1):
            pass
        node.barrier()
    return node.rank


def test_a_cluster_that_shrinks_loses_the_dead_ranks_entries():
    cluster = lab.Cluster(**FREE, speeds=[1.0, 0.1, 0.5], slow={2: 2.0}, fails={1: 3.0})
    history = quietly(work_for, 3, cluster=cluster, virtual=True, shrink=True)
    assert history.attempts == [(3, 1, 3.0), (2, None, 3.0 + 4 * 4.0)]
    assert history.results == [0, 1] and history.nodes == 3
    kept = quietly(work_for, 3, cluster=cluster, virtual=True)
    assert kept.attempts == [(3, 1, 3.0), (3, None, 3.0 + 4 * 10.0)], "the dead one is replaced by its like"


def test_a_geometric_cluster_that_shrinks_keeps_each_nodes_speed():
    cluster = lab.Cluster(**FREE, speeds=lab.geometric(0.5, 1.0), fails={1: 0.5})
    assert quietly(work_for, 3, cluster=cluster, virtual=True, shrink=True).elapsed_s == 0.5 + 4 * 4.0


def test_time_goes_on_for_the_worker():
    def worker(node):
        seen = node.now()
        with node.compute(seconds=1.0):
            pass
        return seen, node.now()

    history = quietly(worker, 1, cluster=lab.Cluster(fails={0: 0.5}), virtual=True, restart_s=2.0)
    assert history.results == [(2.5, 3.5)] and history.elapsed_s == 3.5
    assert history.shares().loc[0, "compute"] == pytest.approx(1 / 3.5)


def test_without_failures_it_is_a_run():
    history = quietly(work_for, 2, virtual=True)
    plain = lab.simulate(work_for, 2)
    assert history.attempts == [(2, None, plain.elapsed_s)] and history.spans.equals(plain.spans)


def test_after_too_many_failures_it_gives_up_with_the_history_of_all():
    cluster = lab.Cluster(mtbf_s=0.5, speeds=1.0)
    with pytest.raises(
        lab.WorkerError, match=r"mtbf_s=0\.5 .*It is failure 3, and most_failures=2"
    ) as caught:
        quietly(work_for, 2, cluster=cluster, virtual=True, most_failures=2)
    history = caught.value.history
    assert len(history.attempts) == 3 and history.elapsed_s == caught.value.at_s == history.attempts[-1].at_s
    assert None not in {attempt.rank for attempt in history.attempts}


def test_fewer_nodes_than_asked_for_are_not_gone_on_with():
    cluster = lab.Cluster(speeds=1.0, fails={2: 0.5})
    with pytest.raises(lab.WorkerError, match=r"fails=\{2: 0\.5\}\. 2 nodes would be left, and fewest=3"):
        quietly(work_for, 3, cluster=cluster, virtual=True, shrink=True, fewest=3)
    assert quietly(work_for, 3, cluster=cluster, virtual=True, shrink=True, fewest=2).results == [0, 1]


def raises(node):
    with node.compute(seconds=0.01):
        pass
    raise ValueError("no")


def leaves(node):
    os._exit(3)


@pytest.mark.parametrize("virtual", [True, False])
def test_a_workers_own_error_ends_it_at_once(virtual):
    with pytest.raises(lab.WorkerError, match="rank 0 raised ValueError: no") as caught:
        quietly(raises, 1, virtual=virtual)
    ((nodes, rank, at_s),) = caught.value.history.attempts
    assert (nodes, rank) == (1, 0) and at_s == caught.value.at_s == caught.value.history.elapsed_s


def test_a_process_that_ends_itself_is_not_started_again():
    with pytest.raises(lab.WorkerError, match="exit code 3") as caught:
        quietly(leaves, 1)
    assert not caught.value.killed and len(caught.value.history.attempts) == 1


def test_it_says_when_an_attempt_begins(capsys):
    cluster = lab.Cluster(speeds=1.0, fails={1: 0.5})
    lab.keep_going(work_for, 2, cluster=cluster, virtual=True, shrink=True, restart_s=1.0)
    told = "rank 1 was killed by SIGKILL, as the cluster has it: fails={1: 0.5}. Attempt 2 begins on 1 node, "
    assert told + "at 1.5 s.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"fewest": 0}, "fewest=0: it takes a whole number from 1 up"),
        ({"fewest": 3}, "fewest=3 of nodes=2: it takes at most as many as there are"),
        ({"most_failures": -1}, "most_failures=-1: it takes a whole number from 0 up"),
        ({"restart_s": -1.0}, r"restart_s=-1\.0: it takes a finite number 0 or more seconds"),
        ({"cluster": lab.Cluster(slow={5: 2.0})}, "slow names rank 5"),
        ({"transport": "carrier pigeon"}, "transport='carrier pigeon'"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked, told):
    with pytest.raises(ValueError, match=told):
        quietly(work_for, 2, **asked)


def test_under_torchrun_it_names_torchruns_own_way(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match="torchrun --max-restarts 3"):
        quietly(work_for, 2)


def interrupted_later(node):
    if node.now() > 1.0:
        raise KeyboardInterrupt
    work_for(node)


def test_an_interrupt_of_an_attempt_has_the_history_of_all():
    with pytest.raises(KeyboardInterrupt) as caught:
        cluster = lab.Cluster(speeds=1.0, fails={0: 1.5})
        quietly(interrupted_later, 2, virtual=True, cluster=cluster)
    assert [(nodes, rank) for nodes, rank, _ in caught.value.history.attempts] == [(2, 0), (2, None)]
    assert caught.value.history.attempts[0].at_s == 1.5


def test_an_interrupt_while_it_waits_has_the_history_of_all_attempts(monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("ddl_lab.restarts.going.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        quietly(trains_and_dies, 1, restart_s=5.0)
    assert [attempt.rank for attempt in caught.value.history.attempts] == [0]


def trains_and_dies(node):
    os.kill(os.getpid(), signal.SIGKILL)
