"""What a worker captures that refuses to be pickled: each node has its own all the same, in every engine."""

import functools
import warnings
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import ddl_lab as lab

ENGINES = {
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=120),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=120),
    "simulate": lab.simulate,
}


pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def small():
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))


def normed(norm):
    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's older ones
        norm(model[0])
    return model


def compiled_in_place():
    model = small()
    model.compile(backend="eager")
    return model


MODELS = {
    "scripted": lambda: torch.jit.script(small()),
    "traced": lambda: torch.jit.trace(small(), torch.ones(2, 4)),
    "compiled": lambda: torch.compile(small(), backend="eager"),
    "compiled in place": compiled_in_place,
    "weight norm": lambda: normed(parametrizations.weight_norm),
    "spectral norm": lambda: normed(parametrizations.spectral_norm),
    "orthogonal": lambda: normed(parametrizations.orthogonal),
    "older weight norm": lambda: normed(nn.utils.weight_norm),
    "older spectral norm": lambda: normed(nn.utils.spectral_norm),
}


@torch.compile(backend="eager")
def doubled(x):
    return 2 * x


@torch.jit.script
def tripled(x):
    return 3 * x


def step(node, models):
    """One step of each, from another batch on each rank: what comes out before and after, and the model."""
    x, found = torch.ones(2, 4) + node.rank, {}
    for name, model in models.items():
        before = model(x).detach()
        gradient = lab.gradient(model(x).square().mean(), model)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=0.1)
        lab.parameters(model)[-1] += node.rank  # each node's own
        found[name] = before, model(x).detach(), model
    return found, (doubled(torch.tensor(node.rank)).item(), tripled(torch.tensor(node.rank)).item())


@functools.cache
def kept():
    """The caller's models, in use before they are captured, and what comes out of them."""
    models = {name: make().eval() for name, make in MODELS.items()}  # in training a norm may go on by itself
    return models, {name: model(torch.ones(2, 4)).detach() for name, model in models.items()}


@functools.cache
def results(name):
    return ENGINES[name](step, 2, args=(kept()[0],)).results


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_a_captured_model_of_any_kind_trains_and_comes_back(engine, name):
    model, first = (part[name] for part in kept())
    found = [models[name] for models, _ in results(engine)]
    assert torch.equal(model(torch.ones(2, 4)), first), "the caller's is as it was"
    assert torch.equal(found[0][0], first) and not torch.equal(found[0][1], first), "it has learned"
    for rank, (_, after, back) in enumerate(found):
        kind = type(model).__name__.replace("TopLevelTraced", "RecursiveScript")  # as torch.jit.load has it
        assert type(back).__name__ == kind
        assert torch.equal(back(torch.ones(2, 4) + rank), after), "the flat tensor is the model's"
    ends = [lab.parameters(back)[-1].item() for *_, back in found]
    assert ends[1] == pytest.approx(ends[0] + 1, abs=1e-5), "each node has its own"


@pytest.mark.parametrize("name", MODELS)
def test_it_gives_the_same_bits_in_processes_and_in_a_simulation(name):
    for real, virtual in zip(results("shm"), results("simulate"), strict=True):
        assert torch.equal(real[0][name][1], virtual[0][name][1])


@pytest.mark.parametrize("engine", ENGINES)
def test_captured_functions_that_are_scripted_or_compiled_are_called(engine):
    assert [functions for _, functions in results(engine)] == [(0, 0), (2, 3)]


class Config:
    def __init__(self, width):
        self.width = width

    @functools.cached_property
    def area(self):
        return self.width**2


def test_a_class_with_a_cached_property_travels_and_each_node_caches_for_itself(engine):
    config, fresh = Config(3), Config(4)
    assert config.area == 9

    def worker(node):
        config.width += node.rank
        fresh.width += node.rank
        node.barrier()
        return config.area, fresh.area, fresh

    results = engine(worker, 2).results
    assert [(cached, made) for cached, made, _ in results] == [(9, 16), (9, 25)]
    assert [vars(back) for *_, back in results] == [{"width": 4, "area": 16}, {"width": 5, "area": 25}]
    assert vars(fresh) == {"width": 4}


def test_sparse_gradients_are_part_of_the_flat_one(engine):
    def worker(node):
        model = nn.Sequential(nn.Embedding(5, 2, sparse=True), nn.Flatten(), nn.Linear(4, 1))
        gradient = lab.gradient(model(torch.tensor([[1, 1 + node.rank]])).sum(), model)
        node.all_reduce(gradient)
        lab.sgd_step(model, gradient, lr=1.0)
        return gradient[:10].view(5, 2).abs().sum(1).gt(0).tolist()

    assert engine(worker, 2).results == [[False, True, True, False, False]] * 2


def test_a_sparse_gradient_itself_is_refused_with_the_mend(engine):
    def worker(node):
        embedding = nn.Embedding(5, 2, sparse=True)
        embedding(torch.tensor([1])).sum().backward()
        node.all_reduce(embedding.weight.grad)

    with pytest.raises(lab.WorkerError, match=r"takes dense tensors; it got torch.sparse_coo: use to_dense"):
        engine(worker, 2)
