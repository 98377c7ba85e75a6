"""DiLoCo: averaging at outer rate 1, Nesterov's step otherwise, a message every H steps."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.diloco import diloco
from ddl_lab.strategies.local_steps import local_sgd
from ddl_lab.training.optimisers import SGD, Adam

TRAIN = lab.load_digits().train.part(slice(600))
small = partial(diloco, batch_size=20, hidden=8)


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_outer_rate_one_without_momentum_is_averaging(nodes):
    plain = partial(small, steps=8, every=4, inner=SGD(0.4), outer_lr=1.0, outer_momentum=0.0)
    found = lab.simulate(plain, nodes, args=(TRAIN,))
    mean = lab.simulate(
        partial(local_sgd, steps=8, every=4, lr=0.4, batch_size=20, hidden=8), nodes, args=(TRAIN,)
    )
    assert torch.allclose(found.results[0], mean.results[0], atol=1e-6)
    assert found.bytes_sent == mean.bytes_sent


def test_the_outer_step_is_torchs_nesterov_on_the_way_that_was_come():
    found = lab.simulate(partial(small, steps=8, every=4, inner=SGD(0.4)), 2, args=(TRAIN,)).results[0]

    def by_torch(node):
        model = lab.make_model(seed=0, hidden=8)
        theta = lab.parameters(model)
        begun = torch.nn.Parameter(theta.clone())
        outer = torch.optim.SGD([begun], lr=0.7, momentum=0.9, nesterov=True)
        for step, (x, y) in zip(range(1, 9), lab.batches(TRAIN, node, 20), strict=False):
            lab.sgd_step(model, lab.gradient(lab.bce_with_logits(model(x), y), model), 0.4)
            if step % 4 == 0:
                begun.grad = begun.detach() - theta
                node.all_reduce(begun.grad, op="mean")
                outer.step()
                theta.copy_(begun.detach())
        return theta

    assert torch.allclose(found, lab.simulate(by_torch, 2).results[0], atol=1e-6)


def test_inner_states_stay_on_the_node_and_go_on():
    def watched(node):
        inner = Adam(0.01)
        small(node, TRAIN, steps=6, every=3, inner=inner)
        return inner.count, inner.mean

    (count, one), (_, other) = lab.simulate(watched, 2).results
    assert count == 6 and not torch.equal(one, other)


@pytest.mark.parametrize(("every", "exchanges"), [(1, 7), (3, 3), (7, 1), (50, 1)])
def test_exchanges_are_counted(every, exchanges):
    found = lab.simulate(partial(small, steps=7, every=every, inner=Adam(0.01)), 3, args=(TRAIN,))
    assert set(found.messages_sent) == {2 * 2 * exchanges}
    assert all(torch.equal(found.results[0], theta) for theta in found.results)


def test_processes_find_the_same_bits():
    worker = partial(small, steps=6, every=3, inner=Adam(0.01))
    real, simulated = lab.run(worker, 3, args=(TRAIN,)), lab.simulate(worker, 3, args=(TRAIN,))
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
