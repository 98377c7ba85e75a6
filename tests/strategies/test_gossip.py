"""Gossip on a ring: the mean is kept, the spread shrinks by the ring's own factor, bytes don't grow."""

import math
from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.gossip import gossip, mixed

TRAIN = lab.load_digits().train.part(slice(600))


def talk(node, rounds, start):
    theta = start[node.rank].clone()
    seen = []
    for _ in range(rounds):
        mixed(node, theta)
        seen.append(theta.clone())
    return torch.stack(seen)


def starts(nodes):
    return torch.randn(nodes, 50, generator=torch.Generator().manual_seed(nodes))


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 8])
def test_the_mean_over_all_nodes_is_kept(nodes):
    found = torch.stack(lab.simulate(talk, nodes, args=(4, starts(nodes))).results)
    for step in range(4):
        assert torch.allclose(found[:, step].mean(0), starts(nodes).mean(0), atol=1e-6)


@pytest.mark.parametrize("nodes", [4, 8])
def test_distances_shrink_by_the_second_eigenvalue(nodes):
    wave = torch.tensor([math.cos(2 * math.pi * rank / nodes) for rank in range(nodes)])
    start = wave[:, None].expand(nodes, 3).contiguous()
    found = torch.stack(lab.simulate(talk, nodes, args=(1, start)).results)[:, 0]
    factor = 1 / 3 + 2 / 3 * math.cos(2 * math.pi / nodes)
    assert torch.allclose(found, factor * start, atol=1e-6)


def test_two_nodes_take_a_third_of_their_own_and_two_of_the_others():
    found = lab.simulate(talk, 2, args=(1, torch.tensor([[0.0], [3.0]]))).results
    assert [theta.item() for theta in found] == [2.0, 1.0]


@pytest.mark.parametrize("nodes", [1, 2, 5, 8])
def test_bytes_and_messages_are_the_same_on_any_ring(nodes):
    found = lab.simulate(talk, nodes, args=(3, starts(nodes)))
    assert found.messages_sent == [6 * (nodes > 1)] * nodes
    assert found.bytes_sent == [6 * 4 * 50 * (nodes > 1)] * nodes


def test_a_slow_node_holds_up_its_neighbours_first_and_the_far_side_not_at_all():
    def step(node):
        with node.compute(seconds=5.0 if node.rank == 0 else 1.0):
            theta = torch.zeros(10)
        mixed(node, theta)
        return node.now()

    found = lab.simulate(step, 6).results
    assert min(found[0], found[1], found[5]) >= 5.0
    assert max(found[2:5]) < 1.1


def test_processes_find_the_same_bits():
    worker = partial(gossip, steps=4, batch_size=20, hidden=8)
    real, simulated = lab.run(worker, 3, args=(TRAIN,)), lab.simulate(worker, 3, args=(TRAIN,))
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
    assert not torch.equal(real.results[0], real.results[1])
