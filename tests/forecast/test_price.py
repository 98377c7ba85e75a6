"""What a run costs: each node until its own end, and watts by what it does."""

import pytest

import ddl_lab as lab
from ddl_lab.forecast import price


def unequal(node):
    with node.compute(seconds=1.0 + node.rank):
        pass
    if node.rank == 0:
        node.recv(lab.parameters(lab.make_model(seed=0)), 1)
    elif node.rank == 1:
        node.send(lab.parameters(lab.make_model(seed=0)), 0)


FREE = lab.Cluster(latency_s=0.0, bandwidth_bytes_per_s=1e15)


def test_a_node_is_paid_until_its_worker_ends_and_not_until_the_last_one_does():
    history = lab.simulate(unequal, 3, cluster=FREE)  # they end after 2, 2 and 3 s
    assert price.node_seconds(history) == pytest.approx(7.0)
    assert price.dollars(price.node_seconds(history), 3600.0) == pytest.approx(7.0)


def test_waiting_takes_other_watts_than_computing():
    history = lab.simulate(unequal, 3, cluster=FREE)  # 1 + 2 + 3 s of computing, 1 s of waiting
    assert price.kilowatt_hours(history, 3.6e6, 0.0) == pytest.approx(6.0)
    assert price.kilowatt_hours(history, 0.0, 3.6e6) == pytest.approx(1.0)


def test_a_run_that_has_not_ended_has_no_bill_and_no_price_is_below_zero():
    with pytest.raises(lab.WorkerError) as caught:
        lab.simulate(unequal, 3, cluster=lab.Cluster(fails={2: 0.5}))
    with pytest.raises(ValueError, match="nodes have ended: a bill needs them all"):
        price.node_seconds(caught.value.history)
    with pytest.raises(ValueError, match="a_node_hour"):
        price.dollars(1.0, -1.0)
    with pytest.raises(ValueError, match="busy_w"):
        price.kilowatt_hours(lab.simulate(unequal, 3), -1.0, 0.0)
