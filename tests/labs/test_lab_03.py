"""Lab 03: what it says of sums, of waiting and of label shards holds for its own cells."""

import math

import pytest
import torch
from reading import defined

import ddl_lab as lab

WAITING = defined("03", "s03-setup", "s03-geo-worker", "s03-geo-run")


def one_step(nodes, alpha, shares):
    return lab.simulate(WAITING["step"], nodes, cluster=WAITING["cluster"](alpha), args=(shares,))


def test_a_sum_over_a_power_of_two_of_nodes_is_a_mean_at_that_many_times_the_rate_to_the_bit():
    train = defined("03", "s03-setup", "s03-sum-worker")["train"]
    ways = ("sum", 0.1), ("mean", 0.2)
    summed, averaged = (lab.simulate(train, 2, args=way).results[0] for way in ways)
    assert torch.equal(summed, averaged)


@pytest.mark.parametrize(("alpha", "best"), [(0.85, 6), (0.9, 9), (0.6, 2)])
def test_equal_shares_have_a_best_count_next_to_minus_one_over_the_logarithm(alpha, best):
    took = {n: one_step(n, alpha, [512 / n] * n).elapsed_s for n in range(1, 17)}
    assert min(took, key=took.get) == best
    assert abs(best + 1 / math.log(alpha)) < 1


def test_shares_by_speed_leave_nobody_waiting():
    speeds = [WAITING["cluster"](0.85).speed(i) for i in range(8)]
    run = one_step(8, 0.85, [512 * speed / sum(speeds) for speed in speeds])
    assert 512 / run.elapsed_s == pytest.approx(sum(speeds))
    assert sum(WAITING["shares_of"](run, "compute")) / 8 == pytest.approx(1)


def test_label_shards_are_off_each_and_exact_together():
    named = ("s03-setup", "s03-names-run")
    whole = defined("03", *named)["gradient_of"](torch.arange(4000))
    found = defined("03", *named, "s03-label-run", g=whole)
    assert found["off"][0] == pytest.approx(2.4, abs=0.05) and min(found["off"]) > 1
    assert found["together"] < 1e-5
