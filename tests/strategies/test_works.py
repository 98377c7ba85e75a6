"""Other ways to do a stage's arithmetic give the same bits: here, a backward in two parts."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.pipeline import Work, interpret, make_layers, mine, pipeline
from ddl_lab.strategies.schedules import by_stage, gpipe, one_f_one_b, with_messages, zero_bubble
from ddl_lab.strategies.works import Halves

DATA = lab.load_digits().train
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
