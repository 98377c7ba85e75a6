"""As stale as a bound allows: the answer holds for the lab's own server."""

import numpy as np
import pytest
import torch
from exercising import passes, refused
from reading import defined

import ddl_lab as lab
from ddl_lab.exercises import lab_07 as exercise


def walked(workers, bound):
    """A loop over the others' clocks, from the furthest behind to one past the furthest ahead."""
    return sum(1 for _ in range(workers - 1) for _ in range(-bound, bound + 1))


def in_numpy(workers, bound):
    return np.int64(2 * bound + 1) * (workers - 1)


def in_torch(workers, bound):
    return torch.tensor(float((workers - 1) * (bound + bound + 1)))


test_any_style_passes = passes(exercise.stalest, walked, in_numpy, in_torch)

test_a_mistake_is_named = refused(
    exercise.stalest,
    (lambda workers, bound: 2 * bound * (workers - 1), "may begin one more"),
    (lambda workers, bound: (bound + 1) * (workers - 1), "they have that to catch up, too"),
    (lambda workers, bound: bound * (workers - 1), "it may have begun s behind"),
    (lambda workers, bound: (2 * bound + 1) * workers, "own gradient makes it no staler"),
    (lambda workers, bound: np.int64(2 * bound + 1), "one other worker's share"),
    (lambda workers, bound: workers * bound, "your count for 6 workers, s = 3 is 18, and 35 was asked"),
    (lambda workers, bound: workers - 1, "the mean without a bound"),
    (lambda workers, bound: 2 * (bound + 1) * (workers - 1), "not at an end"),
    (lambda workers, bound: (2 * bound + 1) * (workers - 1) + 1, "was asked"),
)


@pytest.fixture(scope="module")
def by_hand():
    threads = torch.get_num_threads()
    names = defined("07", "s07-setup", "s07-work", "s07-apply", "s07-bounded", "s07-tick")
    torch.set_num_threads(threads)
    return names


def most(by_hand, workers, bound, seed):
    """The stalest gradient that the lab's gate lets through, where chance decides who comes."""
    cluster = lab.Cluster(
        speeds=1.0, latency_s=0, bandwidth_bytes_per_s=1e15, jitter="exponential", seed=seed
    )
    run = lab.simulate(
        by_hand["tick"], workers + 1, cluster=cluster, args=(by_hand["serve_bounded"], 300, bound)
    )
    return run.metrics.staleness.max()


@pytest.mark.parametrize(("workers", "bound"), [(2, 1), (3, 1), (3, 2), (6, 1)])
def test_no_gradient_of_the_labs_server_is_staler_and_the_stalest_come_near(workers, bound, by_hand):
    found = max(most(by_hand, workers, bound, seed) for seed in range(4))
    asked = exercise.stalest.reference(workers, bound)
    assert 0.6 * asked <= found <= asked
