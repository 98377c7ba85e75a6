"""A server that batches: right answers in both engines, sizes and times that its rules say, who waits."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.serving import serving

X = lab.load_digits().test.x
MODEL = lab.make_model(seed=3, hidden=16)
FREE = lab.Cluster(latency_s=0.0, bandwidth_bytes_per_s=1e15)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
}
engines = pytest.mark.parametrize("engine", ENGINES)


def served(nodes, cluster=FREE, **options):
    return lab.simulate(partial(serving, **options), nodes, cluster=cluster, args=(MODEL, X))


def sizes(history, servers=1):
    return [history.results[rank].tolist() for rank in range(servers)]


@engines
@pytest.mark.parametrize(("nodes", "servers"), [(2, 1), (5, 1), (5, 2), (6, 3)])
def test_every_client_gets_the_answers_to_its_own_digits(engine, nodes, servers):
    options = {"servers": servers, "requests": 5, "most": 3, "wait_s": 1e-4}
    results = ENGINES[engine](partial(serving, **options), nodes, args=(MODEL, X)).results
    with torch.no_grad():
        expected = MODEL(X)
    for client, logits in enumerate(results[servers:]):
        assert torch.allclose(logits, expected[5 * client : 5 * client + 5], atol=1e-5)
    asked = [5 * len(range(server, nodes - servers, servers)) for server in range(servers)]
    assert [int(batches.sum()) for batches in results[:servers]] == asked
    assert all(int(batches.max()) <= 3 for batches in results[:servers])


def test_the_rows_start_again_where_they_end():
    results = lab.simulate(serving, 3, args=(MODEL, X[:7], 1, 5)).results
    assert torch.allclose(results[2][2:], results[1][:3], atol=1e-5)  # rows 5, 6, 0, 1, 2


def test_one_at_a_time_a_request_takes_the_forward_passes_of_all():
    history = served(9, requests=4, most=1, forward_s=(0.01, 0.002))
    assert sizes(history) == [[1] * 32]
    latencies = history.metrics.latency_ms.dropna()
    assert latencies.max() == pytest.approx(8 * 12, rel=1e-3) and history.elapsed_s == pytest.approx(
        0.384, rel=1e-3
    )


def test_without_waiting_it_takes_what_came_during_the_last_pass():
    history = served(9, requests=4, most=8, forward_s=(0.01, 0.002))
    assert sizes(history) == [[8, 8, 8, 8]]  # all ask at once, are answered at once, and ask again at once
    late = lab.Cluster(latency_s=1e-3, bandwidth_bytes_per_s=1e15)
    (found,) = sizes(served(9, late, requests=4, most=8, forward_s=(0.01, 0.002)))
    assert sum(found) == 32 and set(found) <= set(range(1, 9))


def test_a_lone_client_is_kept_waiting_for_company_that_does_not_come():
    at_once = served(2, requests=3, most=8, wait_s=0.0, forward_s=(0.01, 0.002))
    waited = served(2, requests=3, most=8, wait_s=0.05, forward_s=(0.01, 0.002))
    assert at_once.metrics.latency_ms.dropna().tolist() == pytest.approx(
        [12] * 3, rel=1e-3
    )  # a look costs 1 µs
    # the last request of all has nobody to wait for, and the server knows that
    assert waited.metrics.latency_ms.dropna().tolist() == pytest.approx([62, 62, 12], rel=1e-3)


def test_a_full_batch_does_not_wait():
    history = served(5, requests=3, most=4, wait_s=1.0, forward_s=(0.01, 0.0))
    assert sizes(history) == [[4, 4, 4]]
    assert history.elapsed_s < 0.4  # a pass and a look of 0.1 s, three times; not three times a second


def test_two_servers_share_the_clients_and_halve_the_time():
    one, two = (served(n, servers=k, requests=4, most=1) for n, k in ((9, 1), (10, 2)))
    assert sizes(two, 2) == [[1] * 16, [1] * 16]
    assert two.elapsed_s == pytest.approx(one.elapsed_s / 2, rel=1e-3)


def test_batches_of_eight_answer_as_many_more_as_the_passes_say():
    singly, batched = (served(33, requests=6, most=most, forward_s=(1e-3, 1e-4)) for most in (1, 8))
    assert singly.elapsed_s / batched.elapsed_s == pytest.approx(8 * 1.1 / 1.8, rel=0.02)


def test_thinking_is_drawn_from_the_rank_and_the_same_every_time():
    options = {"requests": 30, "most": 1, "think_s": 0.5, "forward_s": (1e-6, 0.0)}
    first, again = served(5, **options), served(5, **options)
    assert first.metrics.equals(again.metrics)
    spans = first.spans[(first.spans["kind"] == "compute") & (first.spans["rank"] > 0)]
    thought = (spans.end_s - spans.start_s).groupby(spans["rank"]).mean()
    assert thought.nunique() == 4 and 0.35 < thought.mean() < 0.65


@engines
def test_a_request_is_a_sample_and_an_answer_a_number(engine):
    history = ENGINES[engine](partial(serving, requests=4, most=2), 3, args=(MODEL, X))
    assert history.bytes_sent == [8 * 4, 4 * 4 * 784, 4 * 4 * 784]
    assert history.messages_sent == [8, 4, 4]


@pytest.mark.parametrize(
    ("nodes", "options", "words"),
    [
        (1, {}, "of 1 node 1 would serve and 0 ask"),
        (3, {"servers": 2}, "of 3 nodes 2 would serve and 1 ask"),
        (3, {"servers": 0}, "0 would serve"),
        (3, {"most": 0}, "most=0"),
        (3, {"requests": 0}, "requests=0"),
    ],
)
def test_what_can_t_be_served_is_refused(nodes, options, words):
    with pytest.raises(lab.WorkerError, match=words):
        served(nodes, **options)
