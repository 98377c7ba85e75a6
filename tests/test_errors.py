"""The errors a learner reads."""

import pytest
from raising import raised

from ddl_lab.errors import (
    CollectiveMismatch,
    Wait,
    WorkerError,
    deadlock_error,
    failure_of,
    hopeless,
    mismatch_error,
    worker_error,
)


def test_the_message_has_rank_type_and_the_learners_lines_with_their_source():
    error = raised("def f(x):\n    return 1 / x\nf(0)\n", "cell-7")
    shown = str(worker_error(2, failure_of(error)))
    assert shown.startswith("rank 2 raised ZeroDivisionError: division by zero")
    assert "cell-7, line 2, in f" in shown and "return 1 / x" in shown


def test_causes_and_notes_are_told():
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('bad lr') from e\n"
    error = raised(source, "cell-9")
    error.add_note("lr was 0")
    shown = str(worker_error(0, failure_of(error)))
    assert "note: lr was 0" in shown and "ZeroDivisionError: division by zero" in shown


def test_a_nodes_own_diagnosis_keeps_its_kind():
    error = worker_error(1, failure_of(mismatch_error({0: "barrier()", 1: "all_reduce()"})))
    assert type(error) is CollectiveMismatch and "rank 1: all_reduce()" in str(error)


def test_a_notebook_shows_the_message_alone():
    lines = WorkerError("rank 1 raised ValueError: no", 1)._render_traceback_()
    assert lines == ["WorkerError: rank 1 raised ValueError: no"]


def test_equal_calls_are_named_together():
    shown = str(mismatch_error({0: "a()", 1: "b()", 2: "a()", 3: "a()"}))
    assert "ranks 0, 2 and 3: a()" in shown and "rank 1: b()" in shown


@pytest.mark.parametrize(
    ("wait", "returned", "verdict"),
    [
        (Wait(0, "recv", (1,)), {1}, True),
        (Wait(0, "recv", (1,)), {2}, False),
        (Wait(0, "barrier", (1, 2)), {2}, True),
        (Wait(0, "recv any", (1, 2), any_of_them=True), {2}, False),
        (Wait(0, "recv any", (1, 2), any_of_them=True), {1, 2}, True),
        (Wait(0, "nothing", ()), {1}, False),
    ],
)
def test_a_wait_is_hopeless_when_those_it_needs_have_returned(wait, returned, verdict):
    assert hopeless(wait, returned) is verdict


def test_a_deadlock_names_every_wait_and_advises_on_sends():
    waits = [Wait(1, "send(dst=0, tag=0)", (0,)), Wait(0, "send(dst=1, tag=0)", (1,))]
    shown = str(deadlock_error(waits, ()))
    assert shown.index("rank 0 waits") < shown.index("rank 1 waits")
    assert "let one receive first" in shown


def test_many_ranks_are_cut_short():
    shown = str(deadlock_error([Wait(99, "barrier()", tuple(range(99)))], range(99)))
    assert "and 87 more" in shown and len(shown) < 600
