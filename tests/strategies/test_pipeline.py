"""Pipelines: every schedule gives one process's numbers, takes its formula's time, keeps its bytes."""

from functools import partial
from itertools import chain, count, islice

import pytest
import torch
from torch import nn

import ddl_lab as lab
from ddl_lab.strategies.pipeline import (
    Work,
    cut,
    interpret,
    make_layers,
    mine,
    pipeline,
)
from ddl_lab.strategies.playing import measured
from ddl_lab.strategies.schedules import (
    ScheduleError,
    by_stage,
    gpipe,
    in_flight,
    interleaved,
    one_f_one_b,
    with_messages,
)
from ddl_lab.strategies.works import Recomputing

DATA = lab.load_digits().train
ORDERS = pytest.mark.parametrize("order", [gpipe, one_f_one_b], ids=lambda order: order.__name__)
SECONDS = {"forward": 0.01, "backward": 0.02}
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
}


def batches(node, batch_size, steps):
    epochs = (lab.batches(DATA, node, batch_size, epoch) for epoch in count())
    return list(islice(chain.from_iterable(epochs), steps))


def first_batch(batch_size):
    return lab.simulate(batches, 1, args=(batch_size, 1)).results[0][0]


def accumulate(node, micros, steps, batch_size):
    network = nn.Sequential(*make_layers(seed=0))
    for x, y in batches(node, batch_size, steps):
        total = torch.zeros_like(lab.parameters(network))
        for a, b in zip(x.tensor_split(micros), y.tensor_split(micros), strict=True):
            total += lab.gradient(lab.bce_with_logits(network(a), b) * (len(a) / len(x)), network)
        lab.sgd_step(network, total, lr=0.05)
    return lab.parameters(network)


def one_process(micros, steps, batch_size):
    """(P,): a process alone that adds up the gradients of the micro-batches, in order."""
    return lab.simulate(accumulate, 1, args=(micros, steps, batch_size)).results[0]


def joined(history):
    """All stages' parameters, in the order of the network."""
    found = {s: theta for result in history.results for s, theta in result.items()}
    return torch.cat([found[s] for s in sorted(found)])


def plan(order, stages, micros, **options):
    return with_messages(by_stage(order, stages, micros), **options)


# the numbers of one process


@ORDERS
@pytest.mark.parametrize("nodes", range(1, 9))
@pytest.mark.parametrize(("micros", "batch_size"), [(1, 10), (3, 10), (5, 23), (8, 64)])
def test_it_equals_one_process_that_accumulates_to_the_bit(order, nodes, micros, batch_size):
    schedule = plan(order, nodes, micros)
    history = lab.simulate(pipeline, nodes, args=(DATA, schedule, 2, batch_size))
    assert torch.equal(joined(history), one_process(micros, 2, batch_size))


@pytest.mark.parametrize(("nodes", "chunks"), [(1, 2), (2, 2), (2, 5), (3, 3), (4, 2), (5, 2)])
def test_interleaved_stages_do_too(nodes, chunks):
    schedule = with_messages(interleaved(nodes, 2 * nodes, chunks))
    history = lab.simulate(pipeline, nodes, args=(DATA, schedule, 2, 31))
    assert torch.equal(joined(history), one_process(2 * nodes, 2, 31))


@pytest.mark.parametrize("engine", ["shm", "gloo"])
@pytest.mark.parametrize("name", ["gpipe", "one_f_one_b", "interleaved"])
def test_real_processes_give_the_same_bits_bytes_and_messages(engine, name):
    orders = {"gpipe": plan(gpipe, 3, 4), "one_f_one_b": plan(one_f_one_b, 3, 4)}
    schedule = orders.get(name) or with_messages(interleaved(3, 6, 2))
    real = ENGINES[engine](pipeline, 3, args=(DATA, schedule, 3, 26))
    virtual = lab.simulate(pipeline, 3, args=(DATA, schedule, 3, 26))
    assert torch.equal(joined(real), joined(virtual))
    assert real.bytes_sent == virtual.bytes_sent
    assert real.messages_sent == virtual.messages_sent


def test_a_batch_in_one_piece_differs_by_rounding_only():
    history = lab.simulate(pipeline, 4, args=(DATA, plan(one_f_one_b, 4, 8), 3))
    whole = one_process(1, 3, 64)
    assert (joined(history) - whole).norm() < 1e-6 * whole.norm()


def test_the_loss_on_record_is_the_batchs_mean_and_falls():
    history = lab.simulate(pipeline, 3, args=(DATA, plan(gpipe, 3, 5), 12))
    losses = history.metrics.query("rank == 2")["loss"].tolist()
    x, y = first_batch(64)
    network = nn.Sequential(*make_layers(seed=0))
    assert losses[0] == pytest.approx(lab.bce_with_logits(network(x), y).item(), rel=1e-6)
    assert sum(losses[-3:]) < sum(losses[:3])


def test_it_goes_on_into_the_next_epoch():
    history = lab.simulate(pipeline, 2, args=(DATA, plan(gpipe, 2, 2), 3, 2000))
    assert (history.metrics["rank"] == 0).sum() == 3
    assert torch.equal(joined(history), one_process(2, 3, 2000))


# messages, bytes, time


@ORDERS
def test_only_activations_and_their_gradients_are_sent(order):
    history = lab.simulate(pipeline, 4, args=(DATA, plan(order, 4, 8), 1, 50))
    digits = len(first_batch(50)[0])
    assert history.messages_sent == [8, 16, 16, 8]
    assert history.bytes_sent == [digits * 256 * 4 * cuts for cuts in (1, 2, 2, 1)]


@pytest.mark.parametrize("chunks", [1, 2])
def test_interleaving_sends_as_often_as_there_are_cuts(chunks):
    history = lab.simulate(pipeline, 4, args=(DATA, with_messages(interleaved(4, 8, chunks)), 1))
    assert sum(history.messages_sent) == 2 * 8 * (4 * chunks - 1)


def test_in_one_piece_no_two_nodes_compute_at_once_and_each_waits_for_its_neighbour():
    history = lab.simulate(pipeline, 4, args=(DATA, plan(gpipe, 4, 1), 1, 64, 0.05, SECONDS))
    spans = history.spans.query("kind == 'compute'").sort_values("start_s")
    assert (spans.end_s.to_numpy()[:-1] <= spans.start_s.to_numpy()[1:]).all()
    assert spans["rank"].tolist() == [0, 1, 2, 3, 3, 2, 1, 0]


@ORDERS
@pytest.mark.parametrize(("nodes", "micros"), [(2, 3), (4, 8), (8, 2)])
def test_a_simulated_step_takes_the_formulas_time_and_what_messages_add(order, nodes, micros):
    cluster = lab.Cluster(latency_s=1e-6, bandwidth_bytes_per_s=1e12)
    schedule = plan(order, nodes, micros)
    history = lab.simulate(pipeline, nodes, cluster=cluster, args=(DATA, schedule, 1, 64, 0.05, SECONDS))
    assert history.elapsed_s == pytest.approx((micros + nodes - 1) * 0.03, rel=1e-3)
    assert measured(history, schedule).bubble == pytest.approx((nodes - 1) / (micros + nodes - 1), rel=5e-3)


# activations


def floats(stage_layers):
    """Numbers a digit that a stage keeps: its input, and what each of its layers makes."""
    sizes = [784, *[256] * 9]
    return sum(sizes[place] for place in stage_layers) + 256


@ORDERS
@pytest.mark.parametrize(("nodes", "micros"), [(1, 4), (3, 8), (4, 8), (5, 2)])
def test_the_bytes_alive_are_those_of_the_micro_batches_in_flight(order, nodes, micros):
    schedule = plan(order, nodes, micros)
    history = lab.simulate(pipeline, nodes, args=(DATA, schedule, 1, 80))
    places = torch.arange(10).tensor_split(nodes)
    for rank, peak in enumerate(history.metrics["peak_bytes"][:-1]):
        piece = 4 * floats(places[rank].tolist()) * 80 / micros
        assert peak == pytest.approx(piece * in_flight(schedule[rank]))
        assert in_flight(schedule[rank]) == (micros if order is gpipe else min(nodes - rank, micros))


def steps_of(work_of, schedule, x, y, micros):
    def worker(node):
        stages, last = mine(node, schedule, make_layers(seed=0))
        work = work_of(stages, last, x, y, micros)
        interpret(node, schedule[node.rank], work)
        return work.live.bytes, work.live.peak_bytes, len(work.kept), work.gradients

    return lab.simulate(worker, len(schedule)).results


@pytest.mark.parametrize("work_of", [Work, Recomputing])
def test_after_the_last_backward_nothing_is_alive(work_of):
    x, y = first_batch(30)
    for alive, peak, kept, _ in steps_of(work_of, plan(one_f_one_b, 3, 5), x, y, 5):
        assert alive == kept == 0 < peak


@ORDERS
def test_recomputing_keeps_inputs_and_one_micro_batch_and_gives_the_same_bits(order):
    x, y = (part.clone() for part in (DATA.x[:80], DATA.y[:80]))
    pairs = (steps_of(work_of, plan(order, 3, 8), x, y, 8) for work_of in (Work, Recomputing))
    for rank, ((_, much, _, ours), (_, little, _, theirs)) in enumerate(zip(*pairs, strict=True)):
        assert torch.equal(ours[rank], theirs[rank])
        assert little < 0.75 * much if order is gpipe or rank == 0 else little <= much
    flight, piece = (8 if order is gpipe else 2), 4 * 10
    inputs = 256 * flight  # on the middle node of three: layers 4 to 6
    found = steps_of(Recomputing, plan(order, 3, 8), x, y, 8)[1][1]
    assert found == piece * (inputs + 3 * 256)


# refusals


def test_more_stages_than_layers_are_refused_by_name():
    with pytest.raises(ValueError, match="10 layers can't be cut into 11 stages: give 1 to 10"):
        cut(make_layers(seed=0), 11)
    with pytest.raises(lab.WorkerError, match="10 layers can't be cut into 12 stages"):
        lab.simulate(pipeline, 4, args=(DATA, with_messages(interleaved(4, 4, 3)), 1))


@pytest.mark.parametrize("stages", range(1, 11))
def test_a_cut_keeps_all_layers_in_order_and_is_even(stages):
    layers = make_layers(seed=0)
    pieces = cut(layers, stages)
    assert [layer for piece in pieces for layer in piece] == layers
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_a_batch_smaller_than_its_micro_batches_is_refused():
    with pytest.raises(lab.WorkerError, match="a batch of 4 digits can't be cut into 8 micro-batches"):
        lab.simulate(pipeline, 2, args=(DATA, plan(gpipe, 2, 8), 1, 4))


def test_a_schedule_for_other_nodes_is_refused():
    with pytest.raises(lab.WorkerError, match="this schedule is for 3 nodes, and there are 2"):
        lab.simulate(pipeline, 2, args=(DATA, plan(gpipe, 3, 8), 1))


def carry_out(node, schedule):
    stages, last = mine(node, schedule, make_layers(seed=0))
    x, y = DATA.x[:8].clone(), DATA.y[:8].clone()
    interpret(node, schedule[node.rank], Work(stages, last, x, y, 4))


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_schedule_that_waits_forever_is_refused_and_does_deadlock_when_carried_out(engine):
    waiting = plan(one_f_one_b, 2, 4, send="send")
    with pytest.raises(lab.WorkerError, match="this schedule never ends"):
        lab.simulate(pipeline, 2, args=(DATA, waiting, 1))
    with pytest.raises(lab.DeadlockError, match=r"rank 0 waits in send\(dst=1"):
        engine(carry_out, 2, args=(waiting,))


def test_no_piece_of_a_refused_schedule_is_a_message():
    with pytest.raises(lab.LabError) as caught:
        lab.simulate(pipeline, 2, args=(DATA, plan(one_f_one_b, 2, 4, send="send"), 1))
    assert sum(caught.value.history.messages_sent) == 0
    assert issubclass(ScheduleError, ValueError)


def test_paced_processes_fill_the_pipeline_and_have_no_smaller_bubble_than_the_formula():
    """3 / 11 for four stages and eight micro-batches; 3 / 4 where no stage works beside another.

    How near it comes to the formula is the machine's affair: ``python -m benchmarks pipeline`` tells.
    """
    cluster = lab.Cluster(latency_s=50e-6, bandwidth_bytes_per_s=1e9)
    schedule = plan(gpipe, 4, 8)
    args = (DATA, schedule, 2, 64, 0.05, SECONDS)
    history = lab.run(pipeline, 4, cluster=cluster, args=args, progress=False)
    found = [measured(history, schedule, k, SECONDS).bubble for k in range(2)]
    assert all(bubble > 0.97 * 3 / 11 for bubble in found) and min(found) < 0.6, found
