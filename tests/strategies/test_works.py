"""Other ways to do a stage's arithmetic: a backward in two parts, and a step after each backward."""

from functools import partial

import pytest
import torch
from torch import nn

import ddl_lab as lab
from ddl_lab.strategies.pipeline import Work, cut, interpret, make_layers, mine, pipeline
from ddl_lab.strategies.schedules import by_stage, gpipe, one_f_one_b, with_messages, zero_bubble
from ddl_lab.strategies.works import Asynchronous, Halves

DATA = lab.load_digits().train
RUN = partial(lab.run, transport="shm", progress=False, timeout_s=60)
SECONDS = {"forward": 0.01, "backward": 0.02, "input": 0.01, "weights": 0.01}


def trained(order, work_of, stages=4, micros=6, engine=lab.simulate):
    schedule = with_messages(by_stage(order, stages, micros))
    history = engine(pipeline, stages, args=(DATA, schedule, 3, 60, 0.05, SECONDS, work_of))
    return history, torch.cat([next(iter(result.values())) for result in history.results])


def test_a_backward_in_two_parts_trains_as_1f1b_does_to_the_bit_in_less_time():
    (slow, ours), (fast, theirs) = trained(one_f_one_b, Work), trained(zero_bubble, Halves)
    assert torch.equal(ours, theirs)
    assert fast.bytes_sent == slow.bytes_sent and fast.messages_sent == slow.messages_sent
    work, bubble_1f1b, bubble_zb = 6 * 0.04 * 0.75, 3 * 0.03, 3 * 0.01
    assert slow.elapsed_s / 3 == pytest.approx(work + bubble_1f1b, rel=0.02)
    assert fast.elapsed_s / 3 == pytest.approx(work + bubble_zb, rel=0.02)
    losses = [history.metrics["loss"].dropna().tolist() for history in (slow, fast)]
    assert losses[0] == losses[1] and len(losses[0]) == 3


def test_processes_carry_out_both_parts_too():
    def engine(worker, nodes, args):
        return lab.run(worker, nodes, args=args, progress=False, timeout_s=60)

    assert torch.equal(trained(zero_bubble, Halves, engine=engine)[1], trained(gpipe, Work)[1])


def test_the_activations_are_kept_until_the_weights_part_is_done():
    x, y = DATA.x[:30].clone(), DATA.y[:30].clone()
    schedule = with_messages(by_stage(zero_bubble, 3, 5))

    def worker(node):
        stages, last = mine(node, schedule, make_layers(seed=0))
        work = Halves(stages, last, x, y, 5)
        interpret(node, schedule[node.rank], work)
        return work.live.bytes, len(work.kept) + len(work.halfway), work.live.peak_bytes

    found = lab.simulate(worker, 3).results
    assert [row[:2] for row in found] == [(0, 0)] * 3
    assert all(peak > 0 for *_, peak in found)


# without a stop


def endless(node, stash, micros=8, lr=0.05):
    schedule = with_messages(by_stage(one_f_one_b, node.world_size, micros))
    stages, last = mine(node, schedule, make_layers(seed=0))
    x, y = DATA.x[: 4 * micros].clone(), DATA.y[: 4 * micros].clone()
    work = Asynchronous(stages, last, x, y, micros, lr=lr, stash=stash)
    interpret(node, schedule[node.rank], work, SECONDS)
    return work.seen, work.delays[node.rank], lab.parameters(stages[node.rank])


@pytest.mark.parametrize(
    ("engine", "nodes"), [(lab.simulate, 1), (lab.simulate, 3), (lab.simulate, 4), (RUN, 3)]
)
def test_stage_s_takes_p_minus_1_minus_s_steps_between_forward_and_backward(engine, nodes):
    for s, (_, delays, _) in enumerate(engine(endless, nodes, args=(True,)).results):
        assert delays == [min(k, nodes - 1 - s) for k in range(8)]


def with_weights(stages, weights):
    for stage, theta in zip(stages, weights, strict=True):
        nn.utils.vector_to_parameters(theta.clone(), stage.parameters())
    return nn.Sequential(*stages)


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_stashing_equals_one_process_that_keeps_every_version(nodes):
    stages = cut(make_layers(seed=0), nodes)
    versions = [[lab.parameters(stage).clone()] for stage in stages]
    for k in range(8):
        seen = [versions[s][max(0, k - (nodes - 1 - s))] for s in range(nodes)]
        network = with_weights(stages, seen)
        part = slice(4 * k, 4 * k + 4)
        gradient = lab.gradient(lab.bce_with_logits(network(DATA.x[part]), DATA.y[part]), network)
        sizes = [len(theta) for theta in seen]
        for s, own in enumerate(gradient.split(sizes)):
            versions[s].append(versions[s][-1] - 0.05 * own)
    for s, (_, _, theta) in enumerate(lab.simulate(endless, nodes, args=(True,)).results):
        torch.testing.assert_close(theta, versions[s][-1], rtol=1e-6, atol=1e-7)


def slopes(history, k, when):
    """By stage: |g| over the finite difference along g, at the weights of forward (0) or backward (1)."""
    rows = [[part.double() for part in seen[s, k]] for s, (seen, _, _) in enumerate(history.results)]
    weights = [row[when] for row in rows]
    stages = [stage.double() for stage in cut(make_layers(seed=0), len(rows))]
    x, y = DATA.x[4 * k : 4 * k + 4].double(), DATA.y[4 * k : 4 * k + 4].double()

    def loss(moved):
        return lab.bce_with_logits(with_weights(stages, moved)(x), y).item()

    found = []
    for s, (_, _, g) in enumerate(rows):
        ends = []
        for step in (1e-5, -1e-5):
            ends.append(loss([w + step * g / g.norm() if t == s else w for t, w in enumerate(weights)]))
        found.append((ends[0] - ends[1]) / 2e-5 / g.norm().item())
    return found


def test_a_stashed_gradient_is_one_and_a_mixed_one_is_none():
    stashed, mixed = (lab.simulate(endless, 4, args=(stash, 8, 0.2)) for stash in (True, False))
    assert slopes(stashed, 6, 0) == pytest.approx([1] * 4, abs=1e-3)
    for when in (0, 1):
        assert abs(slopes(mixed, 6, when)[0] - 1) > 0.01
    assert slopes(mixed, 6, 0)[3] == pytest.approx(1, abs=1e-3), "the last stage goes backward at once"


def test_a_step_that_tells_autograd_is_noticed_by_a_backward_without_a_stash():
    stage = cut(make_layers(seed=0), 1)[0]
    x, y = DATA.x[:4].clone(), DATA.y[:4].clone()
    work = Work({0: stage}, 0, x, y, 1)
    work.forward(0, 0, x)
    lab.sgd_step(stage, torch.ones_like(lab.parameters(stage)), lr=0.1)
    with pytest.raises(RuntimeError, match="was changed in place after"):
        work.backward(0, 0, None)


def test_without_a_stop_the_bubble_is_only_at_the_ends():
    history = lab.simulate(endless, 4, args=(True, 40))
    assert history.elapsed_s == pytest.approx(43 * 0.03, rel=0.01)
