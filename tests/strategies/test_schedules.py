"""Schedules as data: their times and memory are their formulas', and what can't end is refused."""

import pytest

import ddl_lab as lab
from ddl_lab.strategies.playing import check, measured, play
from ddl_lab.strategies.schedules import (
    ScheduleError,
    Step,
    by_stage,
    gpipe,
    in_flight,
    interleaved,
    one_f_one_b,
    with_messages,
    zero_bubble,
)

ORDERS = [gpipe, one_f_one_b]
CASES = [(p, m) for p in range(1, 9) for m in (1, 2, 3, 8, 17)]


def plan(order, stages, micros, **options):
    return with_messages(by_stage(order, stages, micros), **options)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@pytest.mark.parametrize(("stages", "micros"), CASES)
def test_the_bubble_is_the_formulas(order, stages, micros):
    played = play(plan(order, stages, micros), 1, 2)
    assert played.elapsed_s == 3 * (micros + stages - 1)
    assert played.bubble == pytest.approx((stages - 1) / (micros + stages - 1))
    assert played.busy_s == [3 * micros] * stages


@pytest.mark.parametrize(("stages", "micros"), CASES)
def test_gpipe_keeps_all_and_1f1b_at_most_as_many_as_stages(stages, micros):
    for stage in range(stages):
        assert in_flight(plan(gpipe, stages, micros)[stage]) == micros
        assert in_flight(plan(one_f_one_b, stages, micros)[stage]) == min(stages - stage, micros)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_interleaving_divides_the_bubble_by_the_stages_a_node(nodes, chunks, groups):
    micros = groups * nodes
    schedule = with_messages(interleaved(nodes, micros, chunks))
    played = play(schedule, 1 / chunks, 2 / chunks)
    assert played.elapsed_s == pytest.approx(3 * micros + 3 * (nodes - 1) / chunks)
    steps = [step for step in schedule[-1] if step.kind == "forward"]
    assert {step.stage for step in steps} == {nodes - 1 + c * nodes for c in range(chunks)}
    assert len(steps) == micros * chunks


@pytest.mark.parametrize(("stages", "micros"), [(p, m) for p, m in CASES if m >= p])
def test_three_equal_kinds_leave_a_third_of_the_bubble_and_keep_no_more_than_1f1b_s_first_stage(
    stages, micros
):
    schedule = plan(zero_bubble, stages, micros)
    played = play(schedule, 1, 2)
    assert played.elapsed_s == 3 * micros + stages - 1
    assert played.busy_s == [3 * micros] * stages
    assert {in_flight(steps) for steps in schedule} == {min(stages, micros)}
    for steps in schedule:
        kinds = [step.kind for step in steps if not step.what]
        assert [kinds.count(kind) for kind in ("forward", "input", "weights")] == [micros] * 3


def test_few_micro_batches_make_a_zero_bubble_that_ends_too():
    for stages, micros in CASES:
        bubble = play(plan(zero_bubble, stages, micros), 1, 2).elapsed_s - 3 * micros
        assert stages - 1 <= bubble <= 3 * (stages - 1)


def test_a_backward_by_the_weights_wants_that_by_the_input_and_one_without_it_is_refused():
    forward, first, second = (Step(kind, 0, 0) for kind in ("forward", "input", "weights"))
    with pytest.raises(ScheduleError, match=r"weights\(0\) on stage 0 without its backward by the"):
        check([[forward, second, first]])
    with pytest.raises(ScheduleError, match="by the input of micro-batch 0 on stage 0 and never"):
        check([[forward, first]])
    check([[forward, first, second]])


def test_messages_may_take_another_time_between_each_pair():
    schedule = plan(gpipe, 3, 1)
    assert play(schedule, 1, 2, lambda rank, peer: 0.25 if {rank, peer} == {0, 1} else 1.0).elapsed_s == 11.5


def test_messages_take_their_time_and_a_slow_stage_holds_all_up():
    schedule = plan(gpipe, 2, 1)
    assert play(schedule, 1, 2, message_s=0.5).elapsed_s == 7
    assert play(schedule, [1, 5], [2, 10]).elapsed_s == 18
    waiting = plan(gpipe, 2, 1, send="send")
    assert play(waiting, 1, 2, message_s=0.5).elapsed_s == 7


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_counts_below_one_are_refused(count):
    with pytest.raises(ValueError, match="whole numbers from 1 up"):
        by_stage(gpipe, count, 4)
    with pytest.raises(ValueError, match="whole numbers from 1 up"):
        interleaved(2, 4, count)


def test_interleaving_wants_whole_groups_and_says_how_many():
    with pytest.raises(ValueError, match="6 is no multiple of 4; try 8"):
        interleaved(4, 6, 2)


def carried_out(node, schedule):
    """The messages of a schedule, without its arithmetic."""
    import torch

    for step in schedule[node.rank]:
        if step.kind == "recv":
            node.recv(torch.empty(1), step.peer, step.tag)
        elif step.what:
            getattr(node, step.kind)(torch.ones(1), step.peer, step.tag)


def deadlocks(schedule):
    try:
        lab.simulate(carried_out, len(schedule), args=(schedule,))
    except lab.DeadlockError:
        return True
    return False


@pytest.mark.parametrize("send", ["send", "isend"])
def test_the_check_refuses_exactly_what_deadlocks(send):
    verdicts = set()
    makers = [lambda p, m, order=order: by_stage(order, p, m) for order in ORDERS]
    makers += [lambda p, m: interleaved(p, p * m, 2)]
    for make in makers:
        for p in range(1, 6):
            for m in range(1, 4):
                schedule = with_messages(make(p, m), send=send)
                try:
                    check(schedule)
                    refused = False
                except ScheduleError:
                    refused = True
                assert refused == deadlocks(schedule), (p, m)
                verdicts.add(refused)
    assert verdicts == ({True, False} if send == "send" else {False})


def test_a_refusal_names_nodes_steps_and_what_each_waits_for():
    with pytest.raises(ScheduleError) as caught:
        check(plan(one_f_one_b, 2, 4, send="send"))
    text = str(caught.value)
    assert "node 0, step 3: send(x of 1 to node 1) waits, but node 1 stands at step 3" in text
    assert "node 1, step 3: send(g of 0 to node 0) waits" in text
    assert "let sends not wait (isend), or change the order" in text
    assert caught.value._render_traceback_() == [f"ScheduleError: {text}"]


F, B = Step("forward", 0, 0), Step("backward", 0, 0)
X1 = Step("isend", 1, 0, "x", 1)
GOT = Step("recv", 1, 0, "x", 0)
F1, B1 = Step("forward", 1, 0), Step("backward", 1, 0)
G0 = Step("isend", 0, 0, "g", 0)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ([[B, F]], "backward(0) on stage 0 without its forward"),
        ([[F, X1], [F1]], "node 1 comes to forward(0) on stage 1 without its input"),
        ([[F, X1, B], [GOT, F1, B1, G0]], "backward(0) on stage 0 without the gradient"),
        ([[X1], [GOT, F1, B1]], "node 0 comes to isend(x of 0 to node 1) before it has made that"),
        ([[F, X1], [F1._replace(stage=0)]], "node 1 never receives x of 0 for stage 1"),
        ([[F], [GOT, F1]], "recv(x of 0 from node 0) waits, but node 0 is done"),
        ([[Step("recv", 0, 0, "g", 1), F, X1], [GOT, F1, B1, G0]], "another of them: change the order."),
        ([[F, X1._replace(peer=5)]], "there is no such other node"),
        ([[F, X1._replace(peer=0)]], "there is no such other node"),
        ([[Step("sideways", 0, 0)]], "a step can't be a 'sideways'"),
        ([[F, F, B]], "node 0 comes to forward(0) on stage 0 a second time"),
        (
            [[F, F._replace(micro=1), B]],
            "node 0 goes forward with micro-batch 1 on stage 0 and never backward",
        ),
    ],
)
def test_what_else_can_be_wrong_has_words_of_its_own(schedule, words):
    with pytest.raises(ScheduleError) as caught:
        check(schedule)
    assert words in str(caught.value)


def test_times_of_too_few_stages_are_refused():
    with pytest.raises(ValueError, match="forward_s has 2 numbers for 4 stages: give one a stage"):
        play(plan(gpipe, 4, 4), [1, 2], [2, 4])


def test_what_a_run_did_is_read_from_its_spans():
    schedule = plan(gpipe, 2, 2)

    def worker(node):
        for _ in range(2):
            for step in schedule[node.rank]:
                if not step.what:
                    with node.compute(seconds=1 if step.kind == "forward" else 2):
                        pass

    history = lab.simulate(worker, 2)
    first, last = (measured(history, schedule, round) for round in (0, 1))
    assert first.spans == last.spans and first.elapsed_s == 6 and first.bubble == 0
    late = measured(history, schedule, 1, {"forward": 0.5, "backward": 1.0})
    assert [span.end_s - span.start_s for span in late.spans[:4]] == [0.5, 0.5, 1, 1]
    assert (first.late_s, late.late_s) == (0, 1)  # nothing was charged, and 1 of the 2 s of a backward
    with pytest.raises(ValueError, match="node 0 has 8 compute spans, and the schedule 6"):
        measured(history, plan(gpipe, 2, 3))
