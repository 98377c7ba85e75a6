"""Failures: an entry goes on from what it has saved, and checkpoints are whole, its own, and charged for."""

import entries
import pytest
import torch

import ddl_lab as lab
from ddl_lab.exercises.contest import referee
from ddl_lab.exercises.contest.source import made, source_of
from ddl_lab.exercises.contest.task import Task

task = lab.contest(seed=4, failures=True)


def keeps(node):
    """Saves, and finds it again, with the place among the batches."""
    if node.rank:
        return None
    before = task.restore(node)
    flat = lab.parameters(lab.make_model(seed=0)).clone()
    task.gradient(node, flat)
    began = node.now()
    task.save(node, flat=flat, step=3)
    saved = node.now()
    found = task.restore(node)
    node.record(nothing=before is None, place=found["step"], save_s=saved - began, read_s=node.now() - saved)
    node.record(same=torch.equal(found["flat"], flat))
    return flat


def test_what_was_saved_is_restored_and_both_take_the_disk_s_time():
    rows = task.practice(keeps, nodes=2).metrics
    first, second = rows[rows["rank"] == 0].to_dict("records")[-2:]
    assert first["nothing"] == 1 and first["place"] == 3 and second["same"] == 1
    assert first["save_s"] == first["read_s"] == pytest.approx(201_217 * 4 / 200e6, rel=0.01)


def test_each_try_begins_without_checkpoints():
    for _ in range(2):
        rows = task.practice(keeps, nodes=1).metrics
        assert rows["nothing"].dropna().tolist()[0] == 1


def test_the_place_among_the_batches_comes_back(tmp_path):
    def worker(node, own):
        flat = lab.parameters(lab.make_model(seed=0)).clone()
        own.gradient(node, flat)
        own.save(node, flat=flat)
        first = own.gradient(node, flat)
        own.gradient(node, flat)
        own.restore(node)
        return torch.equal(first, own.gradient(node, flat))

    assert lab.simulate(worker, 1, args=(Task(4, folder=str(tmp_path)),)).results == [True]


def saves_a_function(node):
    task.save(node, what=print)


def reads_rank_12(node):
    task.restore(node, rank=12)


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (saves_a_function, r"task\.save takes tensors, numbers, text.*task\.save\(node, model="),
        (reads_rank_12, r"rank=12: it takes 0 to 11"),
    ],
)
def test_a_wrong_call_is_told(worker, words):
    with pytest.raises(lab.WorkerError, match=words):
        task.practice(worker, nodes=1)


def test_an_entry_that_saves_arrives_though_nodes_die(monkeypatch):
    monkeypatch.setattr(referee, "SEEDS", 1)
    score = entries.deadly.score(entries.survivor)
    assert score.reached and score.confirmed and score.how == "it arrived in all of 2 draws of failures"
    assert len(score.history.attempts) > 1


def twenty(node, saves=True):
    """Rank 1 leaves at once, rank 0 works for 6 s, which a node outlives in one of seven tries."""
    if node.rank == 1:
        return None
    done = (task.restore(node) or {"s": 0})["s"]
    while done < 6:
        with node.compute(seconds=1):
            done += 1
        if saves:
            task.save(node, s=done)
    return lab.make_model(seed=0)


def anew(node):
    return twenty(node, saves=False)


def test_who_saves_takes_fewer_seconds_than_who_begins_anew():
    kept, forgot = task.score(twenty, nodes=2), task.score(anew, nodes=2)
    assert kept.seconds < forgot.seconds and kept.node_seconds < forgot.node_seconds


def test_failed_attempts_are_paid_for_and_restarts_are_not():
    tried = referee._Try(lambda own: made(source_of(twenty, task), own), 5, True, 2)
    failed = len(tried.history.attempts) - 1
    seconds, paid, charged_s = tried.cost()
    assert failed > 0 and charged_s == 0 and seconds == tried.history.finished_s[0]
    assert paid == pytest.approx(seconds - 0.5 * failed)  # rank 1 is never paid for


def test_a_plain_contest_keeps_checkpoints_too():
    plain = lab.contest(seed=4)

    def worker(node):
        plain.save(node, s=node.rank)
        node.barrier()
        return torch.full((201_217,), float(plain.restore(node, rank=1)["s"]))

    assert plain.practice(worker, nodes=2).results[0][0] == 1


def never(node):
    for _ in range(60):
        with node.compute(seconds=1):
            pass
    return lab.make_model(seed=0)


def test_an_entry_that_cannot_arrive_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(referee, "MOST_FAILURES", 5)
    with pytest.raises(referee.NotArrived, match=r"after 5 failures .*task\.save.*or use fewer nodes"):
        task.score(never)
