"""Searching on many nodes: what plans hand out, the same scores in both engines, who waits for whom."""

from functools import partial

import pytest

import ddl_lab as lab
from ddl_lab.strategies.search import (
    AsynchronousHalving,
    RandomSearch,
    SuccessiveHalving,
    best_of,
    drawn,
    rungs_of,
    search,
)

TRAIN = lab.load_digits().train
PART, CHECK = TRAIN.part(slice(300)), TRAIN.part(slice(3000, 3100))
ENGINES = {"simulate": lab.simulate, "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60)}
engines = pytest.mark.parametrize("engine", ENGINES)
SMALL = {"trials": 6, "least": 2, "most": 6}


def scored(plan, score_of):
    """What a plan hands out to one node, told the scores of ``score_of``(job): [(trial, first, last)]."""
    jobs = []
    while (job := plan.ask()) is not None:
        jobs.append(job[:3])
        plan.tell(job, score_of(job))
    return jobs


def searched(engine, plan, nodes):
    return ENGINES[engine](search, nodes, args=(plan, PART, CHECK))


# plans


def test_a_trials_setting_is_its_numbers_and_its_seeds_alone():
    jobs = [drawn(trial, 0, 5) for trial in range(200)]
    assert drawn(7, 5, 10)[3:] == jobs[7][3:] != drawn(7, 0, 5, seed=1)[3:]
    assert all(1e-3 <= job.lr <= 10 and 8 <= job.hidden <= 128 for job in jobs)
    assert 0.3 < sum(job.lr < 0.1 for job in jobs) / 200 < 0.7  # even in the logarithm
    assert 0.3 < sum(job.hidden < 32 for job in jobs) / 200 < 0.7


def test_rungs_grow_by_eta_up_to_the_most():
    assert rungs_of(10, 90, 3) == rungs_of(10, 269, 3) == [10, 30, 90]
    assert rungs_of(5, 5, 2) == [5]


@pytest.mark.parametrize("asked", [(0, 9, 3), (9, 3, 3), (1, 9, 1)])
def test_rungs_that_are_none_are_refused(asked):
    with pytest.raises(ValueError, match="1 <= least <= most and eta >= 2 were asked"):
        rungs_of(*asked)


def test_the_best_come_first_and_of_equal_ones_the_first():
    assert best_of({4: 0.5, 1: 0.7, 3: 0.5, 2: 0.9}, 3) == [2, 1, 3]


def test_random_search_trains_all_to_the_end():
    assert scored(RandomSearch(3, 90), lambda job: 0.5) == [(0, 0, 90), (1, 0, 90), (2, 0, 90)]


def test_halving_lets_the_best_third_of_a_complete_rung_go_on():
    jobs = scored(SuccessiveHalving(9, 10, 90), lambda job: job.trial / 10)
    assert jobs[:9] == [(trial, 0, 10) for trial in range(9)]
    assert jobs[9:] == [(8, 10, 30), (7, 10, 30), (6, 10, 30), (8, 30, 90)]


def test_halving_has_nothing_to_hand_out_while_a_rung_is_incomplete():
    plan = SuccessiveHalving(3, 1, 3)
    jobs = [plan.ask() for _ in range(4)]
    assert jobs[3] is None
    for job in jobs[:2]:
        plan.tell(job, 0.5)
    assert plan.ask() is None
    plan.tell(jobs[2], 0.6)
    assert plan.ask()[:3] == (2, 1, 3)


def test_the_last_rung_has_one_at_least():
    assert scored(SuccessiveHalving(2, 1, 9), lambda job: 0.5)[2:] == [(0, 1, 3), (0, 3, 9)]


def test_asynchronous_halving_goes_on_with_the_best_third_so_far_and_begins_others_meanwhile():
    jobs = scored(AsynchronousHalving(9, 10, 90), lambda job: job.trial / 10)
    assert jobs[:5] == [(0, 0, 10), (1, 0, 10), (2, 0, 10), (2, 10, 30), (3, 0, 10)]
    assert (8, 30, 90) in jobs or (5, 30, 90) in jobs
    assert [trial for trial, first, _ in jobs if first == 0] == list(range(9))


def test_what_asynchronous_halving_has_promoted_it_does_not_promote_again():
    jobs = scored(AsynchronousHalving(27, 1, 9), lambda job: 1 - job.trial / 100)
    assert len(set(jobs)) == len(jobs)
    gone = [trial for trial, first, _ in jobs if first == 1]
    assert gone[0] == 0 and len(gone) >= 9  # the first three are in: the best of them is 0


# on nodes


@engines
@pytest.mark.parametrize("plan", [partial(RandomSearch, 6, 6), partial(SuccessiveHalving, **SMALL)])
@pytest.mark.parametrize("nodes", [2, 4])
def test_scores_are_those_of_one_process_to_the_bit(engine, plan, nodes):
    """However many nodes train, in either engine: what was learnt travels with the trial."""
    alone = lab.simulate(search, 2, args=(plan, PART, CHECK)).results[0]
    history = searched(engine, plan, nodes)
    assert history.results[0] == alone
    assert history.results[1:] == [None] * (nodes - 1)


def test_a_trial_in_two_parts_scores_as_one_that_never_stopped():
    whole = lab.simulate(search, 2, args=(partial(RandomSearch, 6, 6), PART, CHECK)).results[0]
    parts = lab.simulate(search, 3, args=(partial(SuccessiveHalving, **SMALL), PART, CHECK)).results[0]
    finished = {trial: found[6] for trial, found in parts.items() if 6 in found}
    assert len(finished) == 2 and all(whole[trial][6] == score for trial, score in finished.items())


@engines
def test_asynchronous_halving_ends_and_scores_what_it_trains_as_random_search_does(engine):
    plan = partial(AsynchronousHalving, **SMALL)
    found = searched(engine, plan, 4).results[0]
    whole = lab.simulate(search, 2, args=(partial(RandomSearch, 6, 6), PART, CHECK)).results[0]
    assert sorted(found) == list(range(6))
    assert all(whole[trial][6] == scores[6] for trial, scores in found.items() if 6 in scores)


def test_the_same_search_is_the_same_every_time_under_simulate():
    first, again = (searched("simulate", partial(AsynchronousHalving, **SMALL), 4) for _ in range(2))
    assert first.metrics.equals(again.metrics) and first.spans.equals(again.spans)


def test_what_travels_is_a_job_a_score_and_what_was_learnt():
    history = searched("simulate", partial(RandomSearch, 3, 2), 2)
    learnt = sum(4 * (786 * drawn(trial, 0, 2).hidden + 1) for trial in range(3))
    assert history.bytes_sent == [4 * 40, 3 * 4 + learnt]  # three jobs and the stop, of five doubles each
    assert history.messages_sent == [4, 6]


def test_best_is_the_highest_score_so_far():
    rows = searched("simulate", partial(RandomSearch, 6, 6), 3).metrics
    assert rows.best.tolist() == rows.score.cummax().tolist() and set(rows["rank"]) == {0}


def test_halving_waits_for_the_last_of_a_rung_and_asynchronous_halving_does_not():
    cluster = lab.Cluster(flops_per_s=1e9, slow={3: 5.0})
    busy = {}
    for plan in (SuccessiveHalving, AsynchronousHalving):
        history = lab.simulate(search, 4, cluster=cluster, args=(partial(plan, 18, 2, 18), PART, CHECK))
        spans = history.spans[(history.spans["kind"] == "compute") & (history.spans["rank"] < 3)]
        busy[plan] = (spans.end_s - spans.start_s).sum() / history.elapsed_s
    assert busy[AsynchronousHalving] > busy[SuccessiveHalving]


def test_a_single_node_is_refused_in_words():
    with pytest.raises(lab.WorkerError, match="1 node would only hand out trials"):
        searched("simulate", RandomSearch, 1)
