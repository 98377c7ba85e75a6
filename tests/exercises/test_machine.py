"""The exercise machine: an untouched cell, a right answer, a wrong one, code that raises."""

import functools
import inspect

import pytest
import torch
from exercising import said

import ddl_lab as lab
from ddl_lab.exercises import machine
from ddl_lab.exercises.helpers import Wrong, call, close, on_nodes, same_shape, same_traffic, times
from ddl_lab.exercises.machine import Exercise, NotRight
from ddl_lab.exercises.stubs import untouched
from ddl_lab.learner import file as learner
from ddl_lab.learner.file import LearnerFile


def _mean(first, second):
    """The mean of two tensors (n,)."""
    return (first + second) / 2  # (n,)


def _check_mean(answer):
    """Two tensors of three values."""
    first, second = torch.ones(3), torch.arange(3.0)
    got = call(answer, first, second)
    same_shape(got, first)
    if torch.equal(got, first + second):
        raise Wrong("you added where the mean was asked: 2 times too large")
    close(got, _mean(first, second))


def _total(node, value):
    tensor = torch.tensor([float(value + node.rank)])
    node.all_reduce(tensor, op="sum")
    return tensor.item()


def _check_total(answer):
    history, expected = on_nodes(answer, 4, 10), on_nodes(_total, 4, 10)
    close(history.results[0], expected.results[0], "rank 0's sum")
    same_traffic(history, expected, "One all_reduce is enough.")
    return "four nodes"


def exercise(**changed):
    told = {"key": "99.mean", "title": "A mean", "difficulty": 1, "minutes": 2}
    told |= {"reference": _mean, "check": _check_mean, "hints": ("Use `+`.", "Halve it.")}
    return Exercise(**(told | changed))


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """A registry and a learner's file of the test's own; nobody autogrades."""
    monkeypatch.setattr(machine, "EXERCISES", {})
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    found = LearnerFile(tmp_path)
    monkeypatch.setattr(machine, "current", lambda: found)
    monkeypatch.setattr(machine, "today", lambda: "2026-11-30")
    return found


@pytest.fixture
def mean():
    return exercise()


@pytest.fixture
def total():
    return exercise(key="99.total", reference=_total, check=_check_total)


def by_dots(first, second):
    """What it returns."""
    # your lines from here
    ...
    # to here


def by_pass(a, b):
    pass


def by_docstring(first, second):
    """Only this."""


def by_refusal(first, second):
    raise NotImplementedError


def by_refusal_in_words(first, second):
    """Why."""
    raise NotImplementedError("your turn")


def by_both(first, second):
    """Why."""
    # a comment
    ...
    pass


@pytest.mark.parametrize(
    "stub",
    [by_dots, by_pass, by_docstring, by_refusal, by_refusal_in_words, by_both],
    ids=lambda f: f.__name__,
)
def test_an_untouched_function_says_so_and_the_courses_answer_stands_in(mean, desk, capsys, stub):
    assert mean.check(stub) is _mean
    expected = "not tried yet — the course's answer stands in, so the notebook runs on\n"
    assert capsys.readouterr().out == expected
    assert desk.read()["exercises"] == {}


def one_number(first, second):
    return 0


def one_call(first, second):
    print(first)


def one_assignment(first, second):
    first = 2
    del first


def another_error(first, second):
    raise ValueError("NotImplementedError")


def refuses_sometimes(first, second):
    if first is None:
        raise NotImplementedError
    return first


def yields(first, second):
    yield


TOUCHED = [one_number, one_call, one_assignment, another_error, refuses_sometimes, yields]


@pytest.mark.parametrize("function", TOUCHED, ids=lambda f: f.__name__)
def test_one_line_of_the_learners_own_makes_it_touched(mean, function):
    assert not untouched(function)
    assert said(mean, function)[0] == "not yet"


def given(node, value):
    """One line is missing."""
    tensor = torch.tensor([float(value + node.rank)])
    # here: one call
    ...
    return sum(tensor.item() for _ in range(1))


def as_given(node, value):
    """Another docstring, and no dots."""
    tensor = torch.tensor([float(value + node.rank)])
    return sum(tensor.item() for _ in range(1))


def beyond_given(node, value):
    tensor = torch.tensor([float(value + node.rank)])
    node.barrier()
    return sum(tensor.item() for _ in range(1))


def other_number(node, value):
    tensor = torch.tensor([float(value + node.rank)])
    return sum(tensor.item() for _ in range(2))


def elsewhere():
    """`as_given` in a cell of its own, which doesn't import torch: it calls `torch.tensor` otherwise."""
    names = {}
    exec(compile(inspect.getsource(as_given), "<cell>", "exec"), names)
    return names["as_given"]


def test_a_body_with_given_lines_is_untouched_until_one_is_added():
    assert untouched(as_given, given) and untouched(given, given)
    assert untouched(elsewhere(), given)
    assert not untouched(beyond_given, given)
    assert not untouched(other_number, given)
    assert not untouched(as_given)


def test_a_right_answer_is_returned_noted_and_told_what_was_tested(mean, desk, capsys):
    def answer(a, b):
        return a / 2 + b / 2

    assert mean.check(answer) is answer
    assert capsys.readouterr().out == "right: Two tensors of three values.\n"
    assert desk.read()["exercises"] == {"99.mean": {"tried": True, "done": True, "on": "2026-11-30"}}
    mean.check(lambda a, b: a)
    assert desk.read()["exercises"]["99.mean"]["done"], "once right stays right"


def test_the_day_is_that_of_the_first_right_answer_and_none_where_that_was_not_kept(mean, desk, monkeypatch):
    mean.check(lambda a, b: a)
    assert "on" not in desk.read()["exercises"]["99.mean"]
    mean.check(lambda a, b: (a + b) / 2)
    monkeypatch.setattr(machine, "today", lambda: "2026-12-24")
    mean.check(lambda a, b: (a + b) / 2)
    assert desk.read()["exercises"]["99.mean"]["on"] == "2026-11-30"
    desk.note("exercises", "99.old", tried=True, done=True)  # before days were kept
    old = exercise(key="99.old")
    old.check(lambda a, b: (a + b) / 2)
    assert "on" not in desk.read()["exercises"]["99.old"]


def test_a_wrong_answer_names_the_mistake_and_where_help_is(mean, desk, capsys):
    assert mean.check(lambda a, b: a + b) is _mean
    first, second = capsys.readouterr().out.splitlines()
    assert first == "not yet: you added where the mean was asked: 2 times too large"
    assert "answer stands in" in second and "exercise.mean.hint()" in second
    assert desk.read()["exercises"] == {"99.mean": {"tried": True}}


def test_the_courses_answer_given_back_counts_as_nothing(mean, desk, capsys):
    assert mean.check(mean.check(by_dots)) is _mean
    assert "this is the course's answer" in capsys.readouterr().out
    assert desk.read()["exercises"] == {}
    assert said(mean, _mean) == ("right", "Two tensors of three values.")


def raises(first, second):
    halved = first / 2
    return halved @ torch.ones(5)


def calls(first, second):
    return raises(first, second)


def test_an_error_is_told_with_the_learners_line_and_none_of_the_packages(mean):
    state, text = said(mean, calls)
    assert state == "not yet" and text.startswith("your code raised RuntimeError: ")
    assert "in raises\n    return halved @ torch.ones(5)" in text
    assert "in calls\n    return raises(first, second)" in text
    assert "ddl_lab/" not in text and "site-packages" not in text


def forgets(first, second):
    first + second


def mutates(first, second):
    first += second
    return first / 2


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (forgets, "the result is None: is there a `return`"),
        (lambda a, b: 1.5, "the result is a float: a tensor of shape (3,) was asked"),
        (lambda a, b: a[None], "the result has shape (1, 3): (3,) was asked"),
        (lambda a, b: (a + b) * 2, "the result differs: 4 times what was asked"),
        (lambda a, b: (a + b) / 2 + torch.tensor([0.0, 0.5, 0.0]), "at index 1: 1.5 where 1 was asked"),
        (lambda a, b: (a - a) / 0, "the result has nan in it, first at index 0"),
        (mutates, "your function changes its argument first"),
        (lambda a: a, "<lambda>(a) can't be called as (first, second): too many positional arguments"),
        (lambda a, b, c: a, "missing a required argument: 'c'"),
        (torch.ones(3), "the check takes the function itself, without a call; it got a tensor of shape (3,)"),
        (None, "without a call; it got None"),
    ],
)
def test_typical_slips_are_told_in_a_sentence(mean, function, words):
    state, text = said(mean, function)
    assert state == "not yet" and words in text


def test_what_can_be_called_like_a_function_is_one(mean):
    def scaled(by, a, b):
        return (a + b) * by

    assert said(mean, functools.partial(scaled, 0.5))[0] == "right"
    assert said(mean, functools.wraps(_mean)(lambda *args: _mean(*args)))[0] == "right"


def test_a_check_that_breaks_on_a_result_says_what_was_returned_is_the_trouble():
    names = {}
    lines = 'def check(answer):\n    answer(1)["there"]\n'
    exec(compile(lines, machine.__file__.replace("machine", "lab_99"), "exec"), names)
    broken = exercise(reference=lambda a: a, check=names["check"])
    assert "the check can't use what your function returned: TypeError" in said(broken, lambda a: a)[1]


def test_stop_ends_a_check(mean):
    def endless(first, second):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mean.check(endless)


def test_a_check_leaves_the_notebooks_random_numbers_alone(mean):
    def draws(first, second):
        return first + torch.rand(3)

    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    said(mean, draws)
    assert torch.equal(torch.rand(2), expected)


def test_a_worker_is_checked_on_values_and_on_what_it_sends(total):
    def twice(node, value):
        tensor = torch.tensor([float(value + node.rank)])
        node.all_reduce(tensor)
        node.barrier()
        node.all_reduce(tensor.clone())
        return tensor.item()

    def alone(node, value):
        return float(value + node.rank)

    assert said(total, _total) == ("right", "four nodes")
    assert said(total, alone) == ("not yet", "rank 0's sum is 10, and 46 was asked")
    state, text = said(total, twice)
    assert state == "not yet"
    assert (
        text.startswith("rank 0 sends ") and "messages where" in text and "One all_reduce is enough" in text
    )


def test_a_workers_error_names_rank_and_line_and_a_deadlock_is_told(total):
    def divides(node, value):
        return 1 / (node.rank - 2)

    def waits(node, value):
        node.recv(torch.zeros(1), src=(node.rank + 1) % node.world_size)

    text = said(total, divides)[1]
    assert (
        text.startswith("your function ended the nodes' run:") and "rank 2 raised ZeroDivisionError" in text
    )
    assert "return 1 / (node.rank - 2)" in text
    assert "rank 3 waits in recv" in said(total, waits)[1]


def test_in_autograding_anything_but_right_raises(mean, monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(NotRight, match=r"99\.mean: not tried yet"):
        mean.check(by_dots)
    with pytest.raises(NotRight, match="you added where the mean was asked"):
        mean.check(lambda a, b: a + b)
    with pytest.raises(NotRight):
        mean.check(_mean)
    assert mean.check(lambda a, b: (a + b) / 2)


def test_hints_come_one_at_a_time_and_the_last_one_stays(mean, capsys):
    for _ in range(3):
        mean.hint()
    assert (
        capsys.readouterr().out == "Hint 1 of 2: Use `+`.\nHint 2 of 2: Halve it.\nHint 2 of 2: Halve it.\n"
    )
    assert machine.Hint("`a < b`", 1, 2)._repr_html_() == "<p><b>Hint 1 of 2.</b> <code>a &lt; b</code></p>"


def test_the_answer_is_folded_and_named_as_the_learners_function(mean, capsys):
    mean.answer()
    source = (
        'def mean(first, second):\n    """The mean of two tensors (n,)."""\n    return (first + second) / 2'
    )
    assert f"{source}  # (n,)" in capsys.readouterr().out
    page = machine.Folded("An <answer>", _mean)._repr_html_()
    assert page.startswith("<details><summary>An &lt;answer&gt;") and "&quot;&quot;&quot;The mean" in page


@pytest.mark.parametrize(
    "fault",
    [{"key": "mean"}, {"key": "9.mean"}, {"difficulty": 4}, {"difficulty": 0}, {"minutes": 0}, {"hints": ()}],
)
def test_an_exercise_of_the_wrong_form_is_refused(fault):
    with pytest.raises(ValueError):
        exercise(**fault)


def test_two_exercises_cannot_share_a_key_but_a_file_can_be_loaded_again():
    exercise()
    assert exercise().key == "99.mean"
    with pytest.raises(ValueError, match=r"two exercises have the key '99\.mean'"):
        exercise(reference=lab.accuracy)


def test_close_tells_both_numbers_and_the_factor():
    close(1.0, torch.tensor(1.0))
    close(float("nan"), float("nan"))
    with pytest.raises(Wrong, match=r"the loss is 3, and 0\.75 was asked: 4 times what was asked"):
        close(3.0, 0.75, "the loss")
    with pytest.raises(Wrong, match="the loss is a str: a number was asked"):
        close("3", 0.75, "the loss")
    with pytest.raises(Wrong, match="the loss is None"):
        close(None, 0.75, "the loss")
    with pytest.raises(Wrong, match=r"at index \(1, 0\): 5 where 0 was asked"):
        close(torch.tensor([[0.0, 0], [5, 0]]), torch.zeros(2, 2))


def test_times_finds_the_one_factor_or_none():
    ours = torch.tensor([1.0, -2, 3])
    assert times(4 * ours, ours) == pytest.approx(4)
    assert times(-ours, ours) == pytest.approx(-1)
    assert times(ours + 1, ours) is None
    assert times(ours, 0 * ours) is None
    assert times(ours[:2], ours) is None


def test_call_sees_changes_inside_lists_and_dicts_and_of_sets():
    def clears(gradients, table):
        gradients[1].zero_()

    def counts(gradients, table):
        table["n"] += 1

    def forgets(gone):
        gone.clear()

    arguments = [torch.ones(2), torch.ones(2)], {"n": 1}
    with pytest.raises(Wrong, match="changes its argument gradients"):
        call(clears, *arguments)
    with pytest.raises(Wrong, match="changes its argument table"):
        call(counts, *arguments)
    with pytest.raises(Wrong, match="changes its argument gone"):
        call(forgets, {3})
    assert torch.equal(arguments[0][1], torch.ones(2)) and arguments[1] == {"n": 1}


def test_nothing_is_kept_where_nobody_sits(monkeypatch, mean, tmp_path, capsys):
    monkeypatch.setattr(machine, "current", learner.current)
    monkeypatch.setenv("DDL_LAB_HOME", str(tmp_path / "home"))
    mean.check(lambda a, b: (a + b) / 2)
    assert not (tmp_path / "home").exists()


def _typed(
    first: torch.Tensor,  # one
    second: "torch.Tensor" = None,
    *,
    lr: float = 0.1,
) -> dict[str, torch.Tensor]:
    # a word before
    """What accuracy(model) is."""
    table: dict[str, torch.Tensor] = {}  # noqa: RUF100
    return table | {"model": make_model(seed=lr), "mine": own.gradient(first)}  # type: ignore  # noqa


def test_an_answer_is_shown_without_types_and_tools_remarks_and_with_lab_before_the_courses_functions():
    assert machine.Folded("", _typed).source == (
        "def typed(first, second=None, *, lr=0.1):\n"
        "    # a word before\n"
        '    """What lab.accuracy(model) is."""\n'
        "    table: dict[str, torch.Tensor] = {}\n"
        '    return table | {"model": lab.make_model(seed=lr), "mine": own.gradient(first)}'
    )
