"""The referee: what a score counts, how an entry is confirmed, and what a failing one is told."""

import entries
import pytest
import torch

import ddl_lab as lab
from ddl_lab.exercises.contest import referee
from ddl_lab.exercises.contest.rules import NotAllowed

task = lab.contest(seed=9)


def early(node):
    """Rank 1 leaves after one step, rank 2 after three; the others at once."""
    model = lab.make_model(seed=0)
    if node.rank not in (1, 2):
        return None
    for _ in range(1 if node.rank == 1 else 3):
        task.gradient(node, model)
    return model if node.rank == 1 else lab.parameters(model)


def test_seconds_run_to_the_last_return_and_node_seconds_to_each():
    score = task.score(early, nodes=4)
    assert (round(score.seconds, 9), round(score.node_seconds, 9)) == (0.024, 0.032)
    assert score.money == score.node_seconds * 3 / 3600
    assert not score.reached and not score.confirmed and score.how == "it has not reached 93%"
    assert isinstance(score.history.results[1], torch.Tensor) and score.history.results[0] is None
    told = repr(score)
    assert told.startswith("early: 0.024 s, 0.032 node-seconds (0.00267 cents) of 4 nodes; 93% NOT reached")
    assert "did not reach" in score._repr_html_()


def test_the_model_of_the_lowest_rank_counts():
    assert torch.equal(task.score(early).history.results[1], lab.parameters(lab.make_model(seed=0)))


def test_an_entry_without_a_model_is_told():
    with pytest.raises(NotAllowed, match="no node returned a model"):
        task.score(lambda_like)


def lambda_like(node):
    return None


def test_what_is_no_model_is_told_with_its_rank():
    with pytest.raises(
        lab.WorkerError, match=r"rank 0 raised ValueError: what a worker returns: .*got a str"
    ):
        task.score(returns_text, nodes=1)


def returns_text(node):
    return "done"


def test_an_error_shows_the_learners_own_line():
    with pytest.raises(lab.WorkerError) as caught:
        task.score(divides, nodes=1)
    assert "ZeroDivisionError" in str(caught.value) and "return 1 / node.rank" in str(caught.value)
    assert "test_referee.py" in str(caught.value)


def divides(node):
    return 1 / node.rank


def test_an_interrupt_ends_it_and_leaves_nothing_behind():
    with pytest.raises(KeyboardInterrupt):
        task.score(interrupted, nodes=2)
    x = torch.ones(1, requires_grad=True)
    (2 * x).backward()
    assert x.grad.item() == 2


def interrupted(node):
    node.barrier()
    raise KeyboardInterrupt


def test_an_asynchronous_entry_is_confirmed_by_what_it_reaches_over_seeds(monkeypatch):
    monkeypatch.setattr(referee, "SEEDS", 1)
    score = entries.task.score(entries.server, nodes=4)
    assert score.reached and score.confirmed, score
    assert score.how.startswith("asynchronous, 9") and score.how.endswith("over 2 seeds and in processes")


def test_what_real_processes_refuse_is_not_confirmed():
    tried = referee._Try(lambda own: alters, 9, False, 2)
    confirmed, how = referee.confirmation(tried)
    assert not confirmed and how in [
        f"in real processes rank {r} raised RuntimeError: not here" for r in (0, 1)
    ]


def alters(node):
    if node.now() != 0.0:  # a wall clock never stands still
        raise RuntimeError("not here")
    return lab.make_model(seed=0)


def test_practice_is_a_history_on_other_digits():
    history = task.practice(early, nodes=3)
    assert history.clock == "virtual" and history.elapsed_s == pytest.approx(0.024)
    by_hand = lab.simulate(early, 3, cluster=task.cluster.of_ranks(range(3)))
    assert by_hand.elapsed_s == history.elapsed_s
