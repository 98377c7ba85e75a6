"""Lab 06: the servers and workers that it builds by hand are those of the package."""

from functools import partial

import pytest
import torch
from reading import cells, defined

import ddl_lab as lab
from ddl_lab.strategies import parameter_server as package

STEPS, BATCH = 3, 20
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
}
engines = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def data():
    return lab.load_digits().train


IN_LAB = {
    "shard": "s06-server",
    "one_round": "s06-round",
    "work": "s06-work",
    "parameter_server": "s06-server",
    "work_in_slices": "s06-slices",
    "sharded_servers": "s06-slices",
    "every_node_serves": "s06-every",
    "keeping_server": "s06-keeping",
}


@pytest.fixture(scope="module")
def by_hand():
    ids = ("s06-work", "s06-round", "s06-server", "s06-slices", "s06-every", "s06-keeping")
    threads = torch.get_num_threads()
    names = defined("06", "s06-setup", *ids)
    torch.set_num_threads(threads)
    return names


@engines
@pytest.mark.parametrize("name", ["parameter_server", "sharded_servers", "every_node_serves"])
def test_the_labs_worker_and_the_packages_agree(engine, name, by_hand, data):
    args = (data, STEPS, 2, BATCH) if name == "sharded_servers" else (data, STEPS, BATCH)
    pair = by_hand[name], getattr(package, name)
    ours, theirs = (ENGINES[engine](worker, 5, args=args) for worker in pair)
    check_alike(ours, theirs, timed=engine == "simulate")


@engines
def test_the_labs_keeping_server_and_the_packages_agree(engine, by_hand, data, tmp_path):
    runs = []
    for place, worker in enumerate((by_hand["keeping_server"], package.keeping_server)):
        path = tmp_path / f"{place}.pt"
        ENGINES[engine](worker, 3, args=(data, 0, 2, path))
        runs.append(ENGINES[engine](worker, 3, args=(data, 2, 4, path)))
    check_alike(*runs, timed=engine == "simulate")


def check_alike(ours, theirs, timed):
    for mine, other in zip(ours.results, theirs.results, strict=True):
        assert (mine is None and other is None) or torch.equal(mine, other)
    assert ours.bytes_sent == theirs.bytes_sent and ours.messages_sent == theirs.messages_sent
    assert not timed or ours.elapsed_s == theirs.elapsed_s


def test_the_labs_functions_are_at_most_25_lines(by_hand):
    for name, place in IN_LAB.items():
        lines = cells("06")[place].splitlines()
        start = next(k for k, line in enumerate(lines) if line.startswith(f"def {name}("))
        rest = [k for k, line in enumerate(lines[start + 1 :], start + 1) if line.startswith("def ")]
        assert (rest[0] if rest else len(lines)) - start <= 25
        assert callable(by_hand[name])


def step_s(history):
    ends = history.metrics.groupby("step").time_s.max()
    return ends.iloc[1] - ends.iloc[0]


@pytest.mark.parametrize(("workers", "servers"), [(8, 1), (4, 2), (5, 8)])
def test_the_widgets_messages_take_as_long_as_those_of_training(workers, servers, by_hand, data):
    drawn = defined("06", "s06-picture", torch=torch, S=4 * 201_217, one_round=by_hand["one_round"])
    cluster = lab.Cluster(speeds=10_000, latency_s=50e-6, bandwidth_bytes_per_s=1e9)
    told = {"nodes": workers + servers, "cluster": cluster}
    shown = lab.simulate(drawn["messages_only"], args=(servers,), **told)
    trained = lab.simulate(by_hand["sharded_servers"], args=(data, 2, servers, 50), **told)
    assert step_s(shown) == pytest.approx(step_s(trained), rel=1e-5)
    assert shown.bytes_sent == trained.bytes_sent and shown.messages_sent == trained.messages_sent


def test_a_push_too_few_is_a_deadlock_that_names_the_worker(by_hand, data):
    forgetful = defined("06", "s06-failure-round", torch=torch)["forgetful_round"]
    with pytest.raises(lab.DeadlockError) as told:
        lab.simulate(by_hand["parameter_server"], 4, args=(data, 5, BATCH, 0.1, forgetful))
    assert "rank 0 waits in isend(dst=3" in str(told.value)
    assert "rank 3 waits in send(dst=0" in str(told.value)
