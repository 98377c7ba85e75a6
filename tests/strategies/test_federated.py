"""Federated averaging: the one process it equals, in every engine; whom the server talks to; its variants."""

import ast
import inspect
from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies import federated as package
from ddl_lab.strategies import private, scaffold, secure
from ddl_lab.strategies.federated import FedAdam, ask, chosen, federated

DIGITS = lab.load_digits(classes=10)
SIZES = [31, 60, 45, 24]  # unequal, in batches of 20 that come out unequal, too
RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}
SMALL = {"rounds": 2, "share": 0.5, "epochs": 2, "lr": 0.2, "hidden": 8}


def parts_for(clients, data=DIGITS.train):
    return lab.share_out(data, clients, sizes=SIZES[:clients])


def small_model(outputs=10):
    return lab.make_model(0, outputs=outputs, hidden=8)


def one_client(start, part, number, mu=0.0, epochs=2, lr=0.2):
    """How far a client goes in a round, by torch's own optimiser, FedProx's term in the loss."""
    model = small_model()
    lab.parameters(model).copy_(start)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(number * epochs, (number + 1) * epochs):
        for x, y in lab.batches(part, None, 20, epoch):
            now = torch.cat([leaf.flatten() for leaf in model.parameters()])
            loss = torch.nn.functional.cross_entropy(model(x), y) + mu / 2 * ((now - start) ** 2).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return lab.parameters(model) - start


def in_one_process(clients, mu=0.0):
    parts, theta = parts_for(clients), lab.parameters(small_model()).clone()
    for number in range(2):
        mine = [parts[rank - 1] for rank in chosen(clients, 0.5, number)]
        rows = sum(len(part) for part in mine)
        theta = theta + sum(len(part) / rows * one_client(theta, part, number, mu) for part in mine)
    return theta


def distance(one, other):
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("nodes", range(2, 6))
def test_it_equals_clients_that_train_one_after_the_other(engine, nodes):
    history = ENGINES[engine](partial(federated, **SMALL), nodes, args=(parts_for(nodes - 1),))
    assert distance(history.results[0], in_one_process(nodes - 1)) < 1e-6
    assert history.results[1:] == [None] * (nodes - 1)


@pytest.mark.parametrize("engine", ["shm", "gloo"])
def test_processes_and_simulation_get_the_same_bits_and_send_the_same(engine):
    worker, args = partial(federated, rule=FedAdam(), test=DIGITS.test, **SMALL), (parts_for(4),)
    real, virtual = ENGINES[engine](worker, 5, args=args), lab.simulate(worker, 5, args=args)
    assert torch.equal(real.results[0], virtual.results[0])
    assert (real.bytes_sent, real.messages_sent) == (virtual.bytes_sent, virtual.messages_sent)
    assert real.metrics.accuracy.equals(virtual.metrics.accuracy)


def test_the_server_talks_to_the_chosen_only():
    history = lab.simulate(partial(federated, **(SMALL | {"rounds": 1})), 5, args=(parts_for(4),))
    ranks, model = chosen(4, 0.5, 0), 4 * len(lab.parameters(small_model()))
    assert history.bytes_sent == [2 * model] + [model * (rank in ranks) for rank in range(1, 5)]
    assert history.messages_sent == [2] + [int(rank in ranks) for rank in range(1, 5)]


def test_the_server_waits_for_the_slowest_of_the_chosen_and_who_is_not_chosen_for_nobody():
    cluster = lab.Cluster(slow={3: 20.0})
    ranks = chosen(4, 0.5, 0)
    slowest = 3 if 3 in ranks else max(ranks, key=lambda rank: SIZES[rank - 1])
    history = lab.simulate(
        partial(federated, **(SMALL | {"rounds": 1})), 5, args=(parts_for(4),), cluster=cluster
    )
    spans = history.spans.assign(seconds=history.spans.end_s - history.spans.start_s)
    waits = spans[(spans["rank"] == 0) & (spans["kind"] == "wait")]
    assert waits.loc[waits.seconds.idxmax(), "peer"] == slowest
    assert set(spans["rank"]) == {0, *ranks}


def test_the_chosen_are_so_many_others_each_round_and_all_in_the_end():
    rounds = [chosen(20, 0.3, number) for number in range(40)]
    assert all(len(set(ranks)) == 6 and ranks == sorted(ranks) for ranks in rounds)
    assert set().union(*map(set, rounds)) == set(range(1, 21))
    assert rounds[0] != rounds[1] and rounds[0] != chosen(20, 0.3, 0, seed=1)
    assert chosen(20, 0.001, 0) == chosen(20, 0.0, 0) and len(chosen(20, 0.001, 0)) == 1


def test_one_step_on_all_rows_of_all_clients_is_one_step_on_all_data():
    worker = partial(federated, rounds=1, share=1.0, epochs=1, batch_size=None, lr=0.2, hidden=8)
    parts = parts_for(4)
    model, together = small_model(), sum(parts[1:], parts[0])
    loss = lab.cross_entropy(model(together.x), together.y)
    lab.sgd_step(model, lab.gradient(loss, model), 0.2)
    assert distance(lab.simulate(worker, 5, args=(parts,)).results[0], lab.parameters(model)) < 1e-6


def test_fedprox_draws_back_as_its_term_in_the_loss_does():
    theta = lab.simulate(partial(federated, mu=2.0, **SMALL), 4, args=(parts_for(3),)).results[0]
    assert distance(theta, in_one_process(3, mu=2.0)) < 1e-6
    assert distance(theta, in_one_process(3)) > 1e-3


def test_fedadam_takes_adams_steps_on_the_mean():
    rule, mean = FedAdam(lr=0.1, betas=(0.5, 0.75), tau=1.0), torch.tensor([2.0, -4.0])
    assert torch.allclose(rule(mean), 0.1 * (mean / 2) / (mean.abs() / 2 + 1))
    second = (0.75 * mean**2 / 4) + mean**2 / 4
    assert torch.allclose(rule(mean), 0.1 * (0.75 * mean) / (second**0.5 + 1))


def test_answers_count_by_their_weights_in_rank_order():
    def worker(node):
        box = torch.zeros(2)
        if node.rank == 0:
            return ask(node, torch.tensor([1.0, 2.0]), [1, 3], [1, 3])
        if node.rank in (1, 3):
            node.recv(box, 0)
            node.send(box * node.rank, 0)

    assert lab.simulate(worker, 4).results[0].tolist() == [2.5, 5.0]  # (1 · 1 + 3 · 3) / 4 times


def test_odd_or_even_has_one_logit():
    parts = parts_for(2, lab.load_digits().train)
    theta = lab.simulate(partial(federated, **SMALL), 3, args=(parts,)).results[0]
    assert len(theta) == len(lab.parameters(small_model(outputs=1)))


@pytest.mark.parametrize(("nodes", "clients"), [(1, 1), (4, 2), (3, 4)])
def test_each_client_needs_a_part_and_the_server_a_client(nodes, clients):
    with pytest.raises(lab.WorkerError, match="a part of its own, one at least"):
        lab.simulate(partial(federated, **SMALL), nodes, args=(parts_for(clients),))


WORKERS = [package.federated, scaffold.scaffold, secure.secure_sum, private.private]


@pytest.mark.parametrize("worker", WORKERS, ids=lambda worker: worker.__name__)
def test_a_worker_has_at_most_25_lines_besides_its_docstring(worker):
    body = ast.parse(inspect.getsource(worker)).body[0].body
    assert body[-1].end_lineno - body[0].end_lineno <= 25
