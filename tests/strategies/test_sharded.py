"""Sharding in stages: the same bits at every stage, the bytes of the formulas, sent and kept."""

import gc
from functools import partial
from itertools import islice, pairwise

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import sharded as zero

DIGITS = lab.load_digits()
WIDTHS = (784, 9, 7, 1)  # 7,065 + 70 + 8 parameters: no node count divides them all
P = sum(zero.sizes_of(WIDTHS))
RUN = partial(lab.run, progress=False, timeout_s=60)


def trained(engine, nodes, stage, optimiser="adam", rows=6, **options):
    worker = partial(zero.sharded, steps=3, batch_size=rows, widths=WIDTHS, **options)
    return engine(worker, nodes, args=(DIGITS.train, stage, optimiser))


@pytest.mark.parametrize("nodes", range(1, 9))
@pytest.mark.parametrize("optimiser", ["adam", "momentum"])
def test_all_stages_train_the_same_bits(nodes, optimiser):
    plain = trained(lab.simulate, nodes, 0, optimiser).results[0]
    for stage in (1, 2, 3):
        for theirs in trained(lab.simulate, nodes, stage, optimiser).results:
            assert torch.equal(theirs, plain)


@pytest.mark.parametrize("stage", range(4))
def test_processes_and_simulation_agree_to_the_bit(stage):
    real, simulated = trained(RUN, 3, stage), trained(lab.simulate, 3, stage)
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
    assert real.bytes_sent == simulated.bytes_sent


def plain_torch(optimiser, nodes, rows):
    """torch's own layers and optimisers on the batches of all nodes together; P parameters, flat."""
    generator = torch.Generator().manual_seed(0)
    layers = []
    for inputs, outputs in pairwise(WIDTHS):
        drawn = (2 * torch.rand((inputs + 1) * outputs, generator=generator) - 1) / inputs**0.5
        layer = torch.nn.Linear(inputs, outputs)
        layer.weight.data = drawn[: inputs * outputs].view(outputs, inputs)
        layer.bias.data = drawn[inputs * outputs :]
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    kinds = {
        "adam": partial(torch.optim.Adam, lr=0.001),
        "momentum": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    }
    step = kinds[optimiser](model.parameters())

    class Solo:
        rank, world_size = 0, 1

    for x, y in islice(lab.batches(DIGITS.train, Solo, nodes * rows), 3):
        step.zero_grad()
        lab.bce_with_logits(model(x), y).backward()
        step.step()
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize("optimiser", ["adam", "momentum"])
@pytest.mark.parametrize(("nodes", "rows"), [(1, 10), (2, 5), (4, 5)])
def test_it_is_what_torchs_optimiser_does_on_the_whole_batch(optimiser, nodes, rows):
    ours = trained(lab.simulate, nodes, 3, optimiser, rows).results[0]
    theirs = plain_torch(optimiser, nodes, rows)
    # Adam divides by the root of a mean square: where a gradient is nearly 0 its sign is rounding's
    assert (ours - theirs).norm() < (1e-6 if optimiser == "momentum" else 1e-5) * theirs.norm()


@pytest.mark.parametrize("nodes", [2, 4, 8])
def test_bytes_sent_are_two_or_three_times_the_parameters(nodes):
    gathers = {0: 0, 1: 1, 2: 1, 3: 2}  # all-gathers a step; the reduction is the rest
    for stage, count in gathers.items():
        history = trained(lab.simulate, nodes, stage)
        laps = 3 * (count + (2 if stage < 2 else 1)) + (1 if stage == 3 else 0)  # and the result, whole
        whole = laps * (nodes - 1) / nodes * 4 * P
        assert sum(history.bytes_sent) / nodes == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("optimiser", ["adam", "momentum"])
@pytest.mark.parametrize("stage", range(4))
def test_a_node_keeps_the_bytes_of_the_formula(stage, optimiser):
    found = trained(RUN, 4, stage, optimiser, weigh=True).metrics
    _, states = zero.OPTIMISERS[optimiser]
    assert found.kept_bytes.mean() == pytest.approx(zero.kept_bytes(P, 4, stage, states), rel=1e-3)
    assert (found.most_bytes >= found.kept_bytes).all()


def test_the_formula_gives_the_figure_of_the_paper_with_its_bytes():
    """7.5 billion parameters, 64 nodes: 120, 31.4, 16.6, 1.9 GB (Rajbhandari et al. 2020, Figure 1)."""
    from ddl_lab.exercises.lab_09 import memory

    found = [memory.reference(7_500_000_000, 64, stage, (2, 2, 12)) / 1e9 for stage in range(4)]
    assert found == pytest.approx([120, 31.4, 16.6, 1.9], abs=0.05)


def test_the_formula_and_the_exercise_agree():
    from ddl_lab.exercises.lab_09 import memory

    for stage in range(4):
        for states in (1, 2):
            ours = zero.kept_bytes(P, 5, stage, states)
            assert ours == pytest.approx(memory.reference(P, 5, stage, (4, 4, 4 * states)))


def test_a_stage_that_is_none_is_an_error():
    with pytest.raises(lab.WorkerError, match="stage=4: 0 shards nothing"):
        trained(lab.simulate, 2, 4)


def test_a_layer_with_fewer_parameters_than_nodes_is_an_error():
    worker = partial(zero.sharded, widths=(784, 1, 1))
    with pytest.raises(lab.WorkerError, match="a layer of 2 parameters can't be sharded over 3 nodes"):
        lab.simulate(worker, 3, args=(DIGITS.train, 1))


@pytest.mark.parametrize("engine", [lab.simulate, RUN], ids=["simulate", "run"])
@pytest.mark.parametrize("nodes", [1, 3])
def test_the_labs_stages_train_the_same_bits(engine, nodes):
    names = defined("09", "s09-setup", "s09-adam", "s09-unsharded", "s09-stage-1", "s09-stage-2")
    plain, *others = (engine(names[name], nodes) for name in ("unsharded", "stage_1", "stage_2"))
    for history in others:
        assert all(torch.equal(theirs, plain.results[0]) for theirs in history.results)
    assert others[1].bytes_sent == plain.bytes_sent


def test_another_optimiser_is_an_error_that_names_both():
    with pytest.raises(lab.WorkerError, match="optimiser='sgd': it can be momentum or adam"):
        trained(lab.simulate, 2, 1, "sgd")


def test_a_simulation_is_not_weighed():
    frozen = gc.get_freeze_count()
    with pytest.raises(lab.WorkerError, match=r"use lab\.run, not lab\.simulate"):
        trained(lab.simulate, 2, 1, weigh=True)
    assert gc.get_freeze_count() == frozen


@pytest.mark.parametrize(("ahead", "formula_ms"), [(False, 8 * (1 + 2)), (True, 1 + 8 * 2)])
def test_the_labs_prefetch_takes_its_formula(ahead, formula_ms):
    """L (g + c) without, g + L c with: eight layers of 2 ms, and a gather of 3 chunks of 0.3 MB."""
    layers = defined("09", "s09-setup", "s09-prefetch")["layers"]
    cluster = lab.Cluster(latency_s=0.1e-3, bandwidth_bytes_per_s=1e9)
    elapsed_s = lab.simulate(layers, 4, cluster=cluster, args=(ahead,)).elapsed_s
    assert elapsed_s * 1e3 == pytest.approx(formula_ms, rel=0.03)
