"""Who goes along."""

from collections import deque

import numpy as np
import pytest
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_15 as exercise
from ddl_lab.exercises.lab_15.company import WITHOUT, _batches, _cases
from ddl_lab.strategies.serving import serve


def by_events(arrivals, most, wait, a, b):
    waiting, sizes, now = deque(arrivals), [], 0.0
    while waiting:
        now = max(now, waiting[0])
        closes, batch = now + wait, [waiting.popleft()]
        while waiting and len(batch) < most and waiting[0] <= closes:
            batch.append(waiting.popleft())
            now = max(now, batch[-1])
        if len(batch) < most:
            now = closes
        now += a + b * len(batch)
        sizes.append(len(batch))
    return sizes


def with_numpy(arrivals, most, wait, a, b):
    times, sizes, first, free = np.array(arrivals), [], 0, 0.0
    while first < len(times):
        opens = max(free, times[first])
        n = min(most, int(np.searchsorted(times, opens + wait, side="right")) - first)
        leaves = max(opens, times[first + n - 1]) if n == most else opens + wait
        first, free = first + n, leaves + a + b * n
        sizes.append(n)
    return np.array(sizes)


def by_recursion(arrivals, most, wait, a, b, free=0.0):
    if not arrivals:
        return []
    opens = max(free, arrivals[0])
    batch = [t for t in arrivals[:most] if t <= opens + wait]
    leaves = opens + wait if len(batch) < most else max(opens, batch[-1])
    rest = by_recursion(arrivals[len(batch) :], most, wait, a, b, leaves + a + b * len(batch))
    return [len(batch), *rest]


test_any_style_passes = passes(exercise.company, by_events, with_numpy, by_recursion)


def full_only_after_company(arrivals, most, wait, a, b):
    """The server's loop, which looks whether the batch is full when somebody has joined the first."""
    waiting, sizes, free = deque(arrivals), [], 0.0
    while waiting:
        opens = max(free, waiting[0])
        n, last, full = 1, waiting.popleft(), False
        while waiting and waiting[0] <= opens + wait and not full:
            n, last = n + 1, waiting.popleft()
            full = n >= most
        free = (max(opens, last) if full else opens + wait) + a + b * n
        sizes.append(n)
    return sizes


test_a_mistake_is_named = refused(
    exercise.company,
    *((variant, words) for words, variant in WITHOUT.items()),
    (lambda s, most, wait, a, b: _batches(s, most, wait, a, b)[:-1], "each of them is answered, once"),
    (lambda s, most, wait, a, b: [1] * len(s), "case 1"),
    (lambda s, most, wait, a, b: _batches(s, most, wait, 1.5e-3, b), "a = 0.00"),
    (lambda s, most, wait, a, b: _batches(s, most, wait, a, 2.5e-4), "a = 0.00"),
    (full_only_after_company, "case 6 (most = 1"),
    (lambda s, most, wait, a, b: len(s), "a list was asked"),
)


def test_the_rules_all_matter_in_the_cases():
    found = [tuple(map(tuple, (rule(*case) for case in _cases()))) for rule in (_batches, *WITHOUT.values())]
    assert len(set(found)) == 1 + len(WITHOUT)


@pytest.mark.parametrize("place", range(5))
def test_it_is_what_the_server_of_the_package_does(place):
    """Without a wait: while it waits the server looks ten times, and so leaves a little later."""
    arrivals, most, _, a, b = _cases()[place]
    model = lab.make_model(seed=0, hidden=8)

    def worker(node):
        if node.rank == 0:
            return serve(node, model, len(arrivals), most, 0.0, (a, b))
        with node.compute(seconds=arrivals[node.rank - 1]):
            pass
        node.send(lab.load_digits().test.x[0], 0)
        return node.recv(lab.parameters(model)[:1].clone(), 0)

    network = lab.Cluster(latency_s=0.0, bandwidth_bytes_per_s=1e18)
    (sizes, *_) = lab.simulate(worker, len(arrivals) + 1, cluster=network).results
    assert sizes.tolist() == _batches(arrivals, most, 0.0, a, b)
