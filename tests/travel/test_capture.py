"""What a worker captures is the node's own copy; what it returns is the caller's."""

import enum
import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

import ddl_lab
from ddl_lab.training.data import load_digits
from ddl_lab.training.model import make_model, parameters
from ddl_lab.travel import pickler
from ddl_lab.travel.capture import CaptureError, freeze, freeze_result, is_plain, thaw, thaw_result

COUNTS = {"calls": 0}

CHILD = """
import sys
from ddl_lab.travel.capture import freeze_result, thaw
worker, args = thaw(sys.stdin.buffer.read())
sys.stdout.buffer.write(freeze_result(worker(None, *args)))
"""


def in_another_process(worker, *args):
    """What ``worker`` returns from a process that can't import this file."""
    command = [sys.executable, "-c", CHILD]
    folder = Path(ddl_lab.__path__[0]).parent
    done = subprocess.run(command, input=freeze(worker, args), capture_output=True, cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return thaw_result(done.stdout)


def in_this_process(worker, *args):
    worker, args = thaw(freeze(worker, args))
    return thaw_result(freeze_result(worker(None, *args)))


both_engines = pytest.mark.parametrize("run", [in_this_process, in_another_process])


class Counter:
    made = 0

    def __init__(self, value=0):
        type(self).made += 1
        self.value = value

    def describe(self):
        return super().__repr__()


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Pair:
    left: object
    right: object


# -- copies ---------------------------------------------------------------------------------------


def test_each_thaw_has_its_own_globals_closure_and_defaults():
    closed = [0]

    def worker(node, default=[0]):  # noqa: B006
        COUNTS["calls"] += 1
        closed[0] += 1
        default[0] += 1
        return COUNTS["calls"], closed[0], default[0]

    frozen = freeze(worker)
    first, second = thaw(frozen)[0], thaw(frozen)[0]
    assert [first(None), first(None), second(None)] == [(1, 1, 1), (2, 2, 2), (1, 1, 1)]
    assert (COUNTS["calls"], closed) == (0, [0])


def test_functions_of_one_node_share_their_globals():
    source = "def add():\n global n\n n += 1\ndef worker(node):\n add()\n return n\nn = 0"
    cell = {"__name__": "__main__"}
    exec(source, cell)
    frozen = freeze(cell["worker"])
    assert [thaw(frozen)[0](None), thaw(frozen)[0](None), cell["n"]] == [1, 1, 0]


def test_a_class_belongs_to_one_node():
    def worker(node):
        Counter()
        return Counter.made

    frozen = freeze(worker)
    first, second = thaw(frozen)[0], thaw(frozen)[0]
    before = Counter.made
    assert (first(None), first(None), second(None)) == (before + 1, before + 2, before + 1)
    assert Counter.made == before


def test_inside_a_node_instances_belong_to_the_nodes_class():
    pair = Pair(Counter(1), Colour.RED)
    own, args = thaw(freeze(lambda node: (Counter, Pair, Colour), (pair,)))
    counter, pair_class, colour = own(None)
    assert counter is not Counter and type(args[0]) is pair_class
    assert type(args[0].left) is counter and args[0].right is colour.RED
    assert args[0].left.describe().startswith("<")


def test_the_workers_own_module_is_copied_even_where_it_could_be_imported(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("seen = []\ndef worker(node):\n seen.append(1)\n return seen")
    monkeypatch.syspath_prepend(tmp_path)
    import train  # type: ignore[import-not-found]

    frozen = freeze(train.worker)
    assert thaw(frozen)[0](None) == thaw(frozen)[0](None) == [1] and train.seen == []
    assert in_another_process(train.worker) == [1]
    assert "train" not in cloudpickle.list_registry_pickle_by_value()


def test_the_course_and_libraries_go_by_reference():
    worker, args = thaw(freeze(make_model, (ddl_lab, torch)))
    assert worker is make_model and args == (ddl_lab, torch)
    assert thaw(freeze(dict))[0] is dict


def test_partials_methods_and_callable_objects_are_workers():
    class Worker:
        def __init__(self):
            self.seen = []

        def __call__(self, node):
            self.seen.append(node)
            return len(self.seen)

    worker = Worker()
    for given in (worker, worker.__call__, functools.partial(worker)):
        assert thaw(freeze(given))[0](None) == 1
    assert worker.seen == []


def test_code_keeps_its_file_so_that_a_traceback_shows_the_cell():
    code = compile("def worker(node):\n  return [1 / 0 for _ in 'a']", "<cell 4>", "exec")
    cell = {"__name__": "__main__"}
    exec(code, cell)
    own = thaw(freeze(cell["worker"]))[0]
    assert own.__code__.co_filename == "<cell 4>"
    with pytest.raises(ZeroDivisionError) as caught:
        own(None)
    assert str(caught.traceback[-1].path) == "<cell 4>"


# -- results --------------------------------------------------------------------------------------


@both_engines
def test_a_result_is_an_instance_of_the_callers_class(run):
    def worker(node, pair):
        Counter.made = 1_000_000
        return [Pair(Counter(5), pair.right), Colour.BLUE, Counter]

    before = Counter.made
    pair, colour, counter = run(worker, Pair(1, Colour.RED))
    assert isinstance(pair, Pair) and isinstance(pair.left, Counter) and pair.left.value == 5
    assert pair.right is Colour.RED and colour is Colour.BLUE and counter is Counter
    assert Counter.made == before


@both_engines
def test_classes_made_by_a_node_travel_too(run):
    def worker(node):
        class Mine(Counter):
            pass

        return [Mine(1), Mine(2)]

    first, second = run(worker)
    assert type(first) is type(second) and isinstance(first, Counter) and second.value == 2


@both_engines
def test_results_keep_their_ties(run):
    def worker(node):
        model = make_model(seed=1)
        return model, parameters(model), load_digits().train.y[:3]

    model, flat, targets = run(worker)
    flat.zero_()
    assert not any(bool(p.any()) for p in model.parameters())
    assert torch.equal(targets, load_digits().train.y[:3])


def test_plain_results_need_no_round_trip():
    plain = [1, 2.5, "a", b"b", None, True, 1j, torch.ones(2), (1, [2]), {"a": {1: torch.ones(1)}}]
    assert is_plain(plain)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(1, requires_grad=True),
        nn.Parameter(torch.ones(1)),
        load_digits().train.x,
        np.ones(1),
        np.float64(1.0),
        Counter(),
        Colour.RED,
        {1, 2},
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_does(value):
    assert not is_plain([value]) and not is_plain({"key": value})


def test_a_list_that_holds_itself_is_not_plain():
    loop: list[object] = []
    loop.append(loop)
    assert not is_plain(loop)


def test_a_class_that_another_process_sent_is_found_by_its_name(monkeypatch):
    frozen = freeze_result(thaw(freeze(lambda node: Counter(5)))[0](None))
    monkeypatch.setattr(pickler, "_sent_classes", {})
    assert isinstance(thaw_result(frozen), Counter)
    monkeypatch.delattr(sys.modules[__name__], "Counter")
    with pytest.raises(CaptureError, match=r"Counter, which this process doesn't know: import it"):
        thaw_result(frozen)
