"""Nodes of one process draw and compute as if each had a process to itself."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ddl_lab
from ddl_lab.node.context import NodeContext, refuse_bad_modes, seed_everything
from ddl_lab.travel import generators


def draw():
    """One of everything, so that each generator keeps a second normal sample for the next call."""
    return [
        random.random(),
        random.gauss(0, 1),
        random.randrange(10**9),
        float(np.random.rand()),
        float(np.random.randn()),
        int(np.random.randint(10**9)),
        float(torch.rand(1)),
        float(torch.randn(1)),
        float(torch.randn(1, dtype=torch.float64)),
    ]


def alone(rank, turns=3):
    """What a node draws that nobody interrupts."""
    outer = NodeContext.current()
    try:
        seed_everything(rank)
        return [draw() for _ in range(turns)]
    finally:
        outer.enter()


def take_turns(ranks, turns=3, act=draw):
    """What each node gets when ``act`` is called on one after another."""
    outer = NodeContext.current()
    contexts = [NodeContext(rank) for rank in ranks]
    drawn = [[] for _ in ranks]
    for _ in range(turns):
        for node, rows in zip(contexts, drawn, strict=True):
            node.enter()
            rows.append(act())
            node.leave()
    outer.enter()
    return drawn


@pytest.fixture(params=["in memory", "asked for"], autouse=True)
def access(request, monkeypatch):
    """Both ways to the states: where they lie, and the slow one where that is unknown."""
    if request.param == "asked for":
        monkeypatch.setattr(generators, "_torch_memory", None)
        monkeypatch.setattr(generators, "_python_memory", None)
        monkeypatch.setattr(generators, "_gauss_memory", None)


@pytest.fixture(autouse=True)
def as_before():
    outer = NodeContext.current()
    yield
    outer.enter()


def test_the_states_are_found_in_memory(request):
    if "asked" not in request.node.name:
        assert generators._torch_memory is not None
        assert generators._python_memory is not None and generators._gauss_memory is not None


def test_a_node_draws_what_a_fresh_process_draws():
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from test_context import *; "
        "seed_everything(3); print(json.dumps([draw() for _ in range(3)]))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    folder = Path(ddl_lab.__path__[0]).parent
    fresh = subprocess.run(command, capture_output=True, cwd=folder, check=True, timeout=120)
    assert take_turns([3])[0] == json.loads(fresh.stdout) == alone(3)


def test_nodes_that_take_turns_draw_what_each_draws_alone():
    assert take_turns([0, 1, 2, 3]) == [alone(rank) for rank in range(4)]


def test_nodes_that_draw_unequally_stay_apart():
    generators = [random.random, np.random.rand, lambda: float(torch.rand(1)), random.getstate]

    def one_at_a_time(rank):
        seed_everything(rank)
        return [generators[(rank + turn) % 4]() for turn in range(700)]

    contexts = [NodeContext(rank) for rank in range(4)]
    drawn = [[] for _ in contexts]
    for turn in range(700):
        for rank, own in enumerate(contexts):
            own.enter()
            drawn[rank].append(generators[(rank + turn) % 4]())
            own.leave()
    assert drawn == [one_at_a_time(rank) for rank in range(4)]


def test_a_node_may_seed_its_generators_itself():
    def act():
        seed_everything(9)
        return draw()

    assert take_turns([0, 1], turns=1, act=act) == [[alone(9)[0]], [alone(9)[0]]]


def test_no_grad_held_across_switches_stays_with_its_node():
    with_grad, without = NodeContext(0), NodeContext(1)
    without.enter()
    with torch.no_grad():
        without.leave()
        with_grad.enter()
        assert torch.is_grad_enabled()
        with_grad.leave()
        without.enter()
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_the_default_dtype_belongs_to_the_node():
    first, second = NodeContext(0), NodeContext(1)
    first.enter()
    torch.set_default_dtype(torch.float64)
    first.leave()
    second.enter()
    assert torch.ones(1).dtype is torch.float32
    second.leave()
    first.enter()
    assert torch.ones(1).dtype is torch.float64


def test_a_node_starts_with_one_thread_and_the_caller_gets_its_own_back():
    torch.set_num_threads(2)
    outer, node = NodeContext.current(), NodeContext(0)
    node.enter()
    assert torch.get_num_threads() == 1
    node.leave()
    outer.enter()
    assert torch.get_num_threads() == 2


def test_making_a_node_changes_nothing():
    seed_everything(5)
    NodeContext(0)
    assert draw() == alone(5)[0]


def test_the_caller_finds_everything_as_it_was():
    seed_everything(5)
    draw()
    torch.set_default_dtype(torch.float64)
    generator = np.random.get_bit_generator()
    state = random.getstate(), np.random.get_state()[2:], torch.get_rng_state().tolist()
    with torch.no_grad():
        take_turns([0, 1])
        assert not torch.is_grad_enabled()
    assert np.random.get_bit_generator() is generator
    assert torch.get_default_dtype() is torch.float64
    assert (random.getstate(), np.random.get_state()[2:], torch.get_rng_state().tolist()) == state
    torch.set_default_dtype(torch.float32)
    assert [draw(), draw()] == alone(5)[1:]


def test_a_caller_with_another_bit_generator_keeps_it():
    before = np.random.get_bit_generator()
    mine = np.random.PCG64(1)
    try:
        np.random.set_bit_generator(mine)
        np.random.randn()
        rest = np.random.RandomState(np.random.PCG64(1)).randn(4)
        assert take_turns([0, 1]) == [alone_on_mt19937(0), alone_on_mt19937(1)]
        assert np.random.get_bit_generator() is mine
        assert np.random.randn(3).tolist() == rest[1:].tolist()
    finally:
        np.random.set_bit_generator(before)


def alone_on_mt19937(rank):
    own = np.random.get_bit_generator()
    gauss = np.random.get_state(legacy=False)
    np.random.set_bit_generator(np.random.MT19937())
    try:
        return alone(rank)
    finally:
        np.random.set_bit_generator(own)
        np.random.set_state(gauss)


def test_a_node_that_exchanges_its_bit_generator_keeps_it_to_itself():
    plain = alone(1)
    first, second = NodeContext(0), NodeContext(1)
    first.enter()
    mine = np.random.PCG64(7)
    np.random.set_bit_generator(mine)
    first.leave()
    second.enter()
    assert draw() == plain[0]
    second.leave()
    first.enter()
    assert np.random.get_bit_generator() is mine
    first.leave()


# -- modes that would leak ------------------------------------------------------------------------


def test_ordinary_modes_are_let_through():
    refuse_bad_modes("node.send")
    with torch.no_grad():
        refuse_bad_modes("node.send")


def test_inference_mode_is_refused_with_the_mend():
    with torch.inference_mode(), pytest.raises(RuntimeError) as caught:
        refuse_bad_modes("node.all_reduce")
    assert str(caught.value).startswith("node.all_reduce inside torch.inference_mode(): ")
    assert str(caught.value).endswith("leave it first; torch.no_grad() is fine")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.filterwarnings("ignore:User provided device_type")
def test_autocast_is_refused(device):
    was = torch.is_autocast_enabled(device)
    torch.set_autocast_enabled(device, True)  # as `with torch.autocast(device)`, GPU or not
    try:
        with pytest.raises(RuntimeError, match=r"node.recv inside torch.autocast\(\): .*leave it"):
            refuse_bad_modes("node.recv")
    finally:
        torch.set_autocast_enabled(device, was)
    refuse_bad_modes("node.recv")


def test_a_call_from_a_backward_hook_is_refused():
    weight = torch.ones(1, requires_grad=True)
    weight.register_hook(lambda gradient: refuse_bad_modes("node.send"))
    with pytest.raises(RuntimeError, match=r"node.send inside a backward pass: .*not in a hook"):
        (weight * 2).sum().backward()
    refuse_bad_modes("node.send")
