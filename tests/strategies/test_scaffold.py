"""SCAFFOLD: its control variates, the one process it equals, twice the bytes, and what it is good for."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.federated import chosen, federated
from ddl_lab.strategies.scaffold import scaffold

DIGITS = lab.load_digits(classes=10)
SIZES = [31, 60, 45, 24]
SMALL = {"rounds": 3, "share": 0.5, "epochs": 2, "lr": 0.2, "hidden": 8}
RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}


def parts_for(clients):
    return lab.share_out(DIGITS.train, clients, sizes=SIZES[:clients])


def in_one_process(clients):
    """The yardstick: (theta, c) after three rounds, and every client's c_k."""
    parts, model = parts_for(clients), lab.make_model(0, outputs=10, hidden=8)
    theta = lab.parameters(model).clone()
    common, controls = torch.zeros_like(theta), [torch.zeros_like(theta)] * clients
    for number in range(3):
        went, changed, ranks = torch.zeros_like(theta), torch.zeros_like(theta), chosen(clients, 0.5, number)
        rows = sum(len(parts[rank - 1]) for rank in ranks)
        for rank in ranks:
            part, mine, gradients = parts[rank - 1], controls[rank - 1], []
            lab.parameters(model).copy_(theta)
            for epoch in range(2 * number, 2 * number + 2):
                for x, y in lab.batches(part, None, 20, epoch):
                    gradients.append(lab.gradient(lab.cross_entropy(model(x), y), model))
                    lab.sgd_step(model, gradients[-1] - mine + common, 0.2)
            # by theirs, (x - y) / (K eta) - c + c_k, it is the mean of the gradients along the way
            controls[rank - 1] = sum(gradients) / len(gradients)
            went += len(part) / rows * (lab.parameters(model) - theta)
            changed += len(part) / sum(SIZES[:clients]) * (controls[rank - 1] - mine)
        theta, common = theta + went, common + changed
    return theta, common, controls


def distance(one, other):
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("nodes", range(2, 6))
def test_it_equals_one_process_and_controls_are_mean_gradients(engine, nodes):
    history = ENGINES[engine](partial(scaffold, **SMALL), nodes, args=(parts_for(nodes - 1),))
    theta, common, controls = in_one_process(nodes - 1)
    assert distance(history.results[0].chunk(2)[0], theta) < 1e-5
    assert distance(history.results[0].chunk(2)[1], common) < 1e-4
    for result, control in zip(history.results[1:], controls, strict=True):
        assert (result.chunk(2)[1] - control).norm() <= 1e-4 * common.norm()


def test_the_servers_control_is_the_clients_mean_by_rows_also_of_those_who_were_absent():
    results = lab.simulate(partial(scaffold, **SMALL), 5, args=(parts_for(4),)).results
    mean = sum(
        size / sum(SIZES) * result.chunk(2)[1] for size, result in zip(SIZES, results[1:], strict=True)
    )
    assert distance(results[0].chunk(2)[1], mean) < 1e-5


@pytest.mark.parametrize("engine", ["shm", "gloo"])
def test_processes_and_simulation_get_the_same_bits(engine):
    worker, args = partial(scaffold, test=DIGITS.test, **SMALL), (parts_for(4),)
    real, virtual = ENGINES[engine](worker, 5, args=args), lab.simulate(worker, 5, args=args)
    assert all(torch.equal(a, b) for a, b in zip(real.results, virtual.results, strict=True))
    assert real.metrics.accuracy.equals(virtual.metrics.accuracy)


def test_its_first_round_is_fedavgs_for_twice_the_bytes():
    once = SMALL | {"rounds": 1}
    ours, theirs = (lab.simulate(partial(w, **once), 5, args=(parts_for(4),)) for w in (scaffold, federated))
    assert torch.equal(ours.results[0].chunk(2)[0], theirs.results[0])
    assert ours.bytes_sent == [2 * sent for sent in theirs.bytes_sent]
    assert ours.messages_sent == theirs.messages_sent
