"""Local SGD: data parallelism at H = 1, fewer messages above, shares of any size."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.data_parallel import data_parallel
from ddl_lab.strategies.local_steps import local_sgd

TRAIN = lab.load_digits().train.part(slice(600))
small = partial(local_sgd, batch_size=20, hidden=8)


@pytest.mark.parametrize(("nodes", "steps"), [(1, 10), (2, 5), (5, 2)])
def test_an_average_after_every_step_is_data_parallelism_to_rounding(nodes, steps):
    local = lab.simulate(partial(local_sgd, every=1, lr=0.1, batch_size=60), nodes, args=(TRAIN, steps))
    theirs = lab.simulate(data_parallel, nodes, args=(TRAIN, 60, 1))  # an epoch has as many steps
    assert torch.allclose(local.results[0], theirs.results[0], atol=1e-6)
    assert local.bytes_sent == theirs.bytes_sent


@pytest.mark.parametrize(("every", "after", "averages"), [(1, 0, 12), (5, 0, 3), (12, 0, 1), (5, 4, 7)])
def test_averages_are_counted(every, after, averages):
    found = lab.simulate(partial(small, steps=12, every=every, after=after), 4, args=(TRAIN,))
    assert set(found.messages_sent) == {2 * 3 * averages}
    assert all(torch.equal(found.results[0], theta) for theta in found.results)


def test_between_averages_nodes_go_their_own_ways():
    def watched(node):
        theta = small(node, TRAIN, steps=3, every=9)  # the average at the end alone
        alone = lab.make_model(seed=0, hidden=8)
        for _, (x, y) in zip(range(3), lab.batches(TRAIN, node, 20), strict=False):
            lab.sgd_step(alone, lab.gradient(lab.bce_with_logits(alone(x), y), alone), 0.4)
        return theta, lab.parameters(alone)

    found = lab.simulate(watched, 3).results
    alone = torch.stack([mine for _, mine in found])
    assert torch.allclose(found[0][0], alone.mean(0), atol=1e-6)
    assert (alone[0] - alone[1]).norm() > 1e-3


def test_a_list_gives_each_rank_its_own_rows_of_whatever_number():
    parts = [TRAIN.part(slice(0, 30)), TRAIN.part(slice(30, 600))]
    found = lab.simulate(partial(small, steps=8, every=4), 2, args=(parts,))
    assert found.metrics.groupby("rank").size().tolist() == [8, 8]
    with pytest.raises(lab.WorkerError, match="2 data sets for 3 nodes: give one a rank"):
        lab.simulate(partial(small, steps=8, every=4), 3, args=(parts,))


def test_processes_find_the_same_bits():
    worker = partial(small, steps=6, every=3)
    real, simulated = lab.run(worker, 3, args=(TRAIN,)), lab.simulate(worker, 3, args=(TRAIN,))
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
    assert (real.bytes_sent, real.messages_sent) == (simulated.bytes_sent, simulated.messages_sent)


def test_strangers_begin_elsewhere_and_end_in_one_place():
    found = lab.simulate(partial(small, steps=4, every=4, seed_step=1), 2, args=(TRAIN,)).results
    same = lab.simulate(partial(small, steps=4, every=4), 2, args=(TRAIN,)).results
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], same[0], atol=1e-3)
