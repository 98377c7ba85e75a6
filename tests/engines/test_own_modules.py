"""What a worker uses of other modules: libraries by name, the user's own with a state a node."""

import functools
import importlib
import itertools
import os
import pickle
import sys
import threading
import typing
from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.travel.capture import CaptureError
from ddl_lab.travel.modules import is_own

ENGINES = {
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "simulate": lab.simulate,
}
UserId = typing.NewType("UserId", int)

HELPER = """
import contextlib, enum, functools, itertools, threading
LR, SEEN, COUNTER, LOCK = 0.1, [], itertools.count(), threading.Lock()

class Failed(Exception):
    pass

class Config:
    steps, tags = 1, []

    @property
    def doubled(self):
        return 2 * self.steps

class Colour(enum.Enum):
    RED = 1

def bump(made=[]):
    global LR
    with LOCK:
        LR += 1
        made.append(LR)
        bump.calls = getattr(bump, "calls", 0) + 1
    return LR, len(made), bump.calls, next(COUNTER)

@functools.cache
def model():
    return []

@functools.singledispatch
def shown(value):
    return "?"

def counted(function):
    calls = 0
    @functools.wraps(function)
    def wrapper(*args):
        nonlocal calls
        calls += 1
        return function(*args), calls
    return wrapper

@counted
def twice(x):
    return 2 * x * LR

def fail():
    raise Failed(LR)
"""


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Make a module of the user's, and import it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = []

    def make(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        made.append(name)
        return importlib.import_module(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_a_worker_may_mention_any_part_of_torch(engine):
    def worker(node):
        torch.backends.cudnn.deterministic = True
        told = torch.ops.aten.add(torch.ones(1), 1).item(), torch.backends.mkldnn.is_available()
        return told, torch.utils.data.get_worker_info(), aten.mul(torch.ones(1), 3).item()

    aten = torch.ops.aten
    before = torch.backends.cudnn.deterministic
    assert engine(worker, 2).results == [((2.0, torch.backends.mkldnn.is_available()), None, 3.0)] * 2
    assert torch.backends.cudnn.deterministic is before


def test_cached_functions_dispatchers_and_new_types_of_a_cell_are_each_nodes_own(engine):
    @functools.cache
    def made():
        return []

    @functools.singledispatch
    def kind(value):
        return "any"

    @kind.register
    def _(value: int):
        return "int"

    def worker(node):
        for _ in range(2):
            made().append(node.rank)
            node.barrier()
        if node.rank == 0:
            kind.register(str, lambda value: "text")
        node.barrier()
        return made(), kind(1), kind(""), kind(1.5), UserId(5), UserId.__name__

    assert engine(worker, 2).results == [
        ([0, 0], "int", "text", "any", 5, "UserId"),
        ([1, 1], "int", "any", "any", 5, "UserId"),
    ]
    assert made() == [] and kind("") == "any"


@functools.lru_cache(maxsize=7)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def test_a_cached_function_may_call_itself(engine):
    assert (
        engine(lambda node: (fibonacci(30), fibonacci.cache_info().maxsize), 2).results == [(832040, 7)] * 2
    )


def uses(node, cfg):
    """Everything that HELPER holds, before and after the other nodes."""
    cfg.LR += node.rank
    cfg.SEEN.append(node.rank)
    cfg.Config.steps += node.rank
    cfg.Config.tags.append(node.rank)
    cfg.model().append(node.rank)
    cfg.EXTRA = node.rank
    if node.rank == 1:
        cfg.shown.register(int, lambda value: "int")
    node.barrier()
    told = [cfg.bump(), cfg.twice(1), cfg.SEEN, cfg.Config().doubled, cfg.Config.tags, cfg.model(), cfg.EXTRA]
    node.barrier()
    return [*told, cfg.LR, cfg.shown(1), cfg.twice(1)[1]]


def test_what_a_module_of_the_users_holds_is_each_nodes_own_and_as_it_stands(module):
    cfg = module("helper_of_mine", HELPER)
    cfg.LR = 10.0
    cfg.SEEN.append("notebook")

    def worker(node):
        return uses(node, cfg)

    results = [ENGINES[name](worker, 3).results for name in ("shm", "simulate", "simulate")]
    assert results[0] == results[1] == results[2]
    assert results[0][2][0] == (13.0, 1, 1, 0) and results[0][2][2] == ["notebook", 2]
    assert results[0][2][3:6] == [6, [2], [2]] and results[0][1][8:] == ["int", 2]
    assert results[0][0][8] == "?"
    assert (cfg.LR, cfg.SEEN, cfg.Config.steps, cfg.Config.tags) == (10.0, ["notebook"], 1, [])
    assert cfg.model() == [] and not hasattr(cfg, "EXTRA") and not hasattr(cfg.bump, "calls")
    assert next(cfg.COUNTER) == 0 and cfg.twice(1)[1] == 1 and cfg.shown(1) == "?"


def test_its_functions_and_classes_stay_the_ones_that_import_gives(module, engine):
    helper = module("helper_of_mine", HELPER)
    from helper_of_mine import Config, Failed, bump  # type: ignore[import-not-found]

    red = helper.Colour.RED

    def worker(node):
        import helper_of_mine as again

        node.barrier()
        again.LR = node.rank
        node.barrier()
        try:
            helper.fail()
        except Failed as error:
            told = error.args
        copy = pickle.loads(pickle.dumps([again.Config(), bump, again.twice, again.model, again.Colour.RED]))
        same = isinstance(copy[0], Config), copy[1] is bump, copy[2] is again.twice, copy[3] is again.model
        return told, same, copy[4] is red, again.Config is Config, helper.bump is bump

    results = engine(worker, 2).results
    assert results == [((rank,), (True,) * 4, True, True, True) for rank in range(2)]


def test_an_import_inside_the_worker_finds_the_nodes_own_state(module, engine):
    module("helper_of_mine", HELPER).LR = 5.0

    def worker(node):
        import helper_of_mine

        for _ in range(2):
            helper_of_mine.LR += 1 + node.rank
            node.barrier()
        return helper_of_mine.LR

    assert engine(worker, 2).results == [7.0, 9.0]


@pytest.mark.parametrize("name", ["code", "profile", "calendar"])
def test_a_workers_file_may_be_named_as_one_of_pythons_own(tmp_path, monkeypatch, engine, name):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(
        "seen = []\ndef worker(node):\n for _ in range(2):\n  seen.append(node.rank)\n  node.barrier()\n"
        " return seen\n"
    )
    kept = sys.modules.pop(name, None)
    try:
        own = importlib.import_module(name)
        assert is_own(own) and engine(own.worker, 2).results == [[0, 0], [1, 1]] and own.seen == []
    finally:
        sys.modules.pop(name)
        if kept is not None:
            sys.modules[name] = kept


@pytest.mark.parametrize("name", ["code", "profile", "calendar"])
def test_a_helpers_file_may_be_named_as_one_of_pythons_own(tmp_path, monkeypatch, engine, name):
    """Also where the processes that nodes are made from have loaded Python's."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text("hits = 0\ndef hit():\n global hits\n hits += 1\n return hits\n")
    kept = sys.modules.pop(name, None)
    try:
        own = importlib.import_module(name)
        hit = own.hit

        def worker(node):
            own.hit()
            node.barrier()
            return [hit() for _ in range(1 + node.rank)], own.hits

        assert engine(worker, 2).results == [([2], 2), ([2, 3], 3)] and own.hits == 0
    finally:
        sys.modules.pop(name)
        if kept is not None:
            sys.modules[name] = kept


def test_libraries_and_the_course_are_left_as_they_are():
    assert not any(map(is_own, (os, torch, pytest, lab, itertools, threading, sys.modules["__main__"])))


def test_an_iterator_of_a_module_that_a_worker_uses_is_refused_by_name(module, engine):
    ids = module("ids_of_mine", "ids = (i for i in range(9))\ndef fresh():\n return next(ids)\n")
    with pytest.raises(CaptureError, match=r"worker uses `ids_of_mine\.ids` \(a generator\), which can't"):
        engine(lambda node: ids.fresh(), 2)


def test_what_cannot_be_copied_and_counts_for_nobody_works_as_it_is(module, engine):
    locked = module(
        "locked_of_mine", "import threading\nlock, n = threading.Lock(), 0\nspare = (i for i in ())"
    )

    def worker(node):
        with locked.lock:
            locked.n += 1
            node.barrier()  # nodes that shared the lock would wait for each other here
        return locked.n

    assert engine(worker, 2).results == [1, 1]


def test_what_holds_a_lock_is_each_nodes_own(module, engine):
    counted = module(
        "counted_of_mine",
        "import queue, threading\n"
        "class Counter:\n def __init__(self):\n  self.lock, self.n = threading.RLock(), 0\n"
        "counter, other, line = Counter(), threading.Lock(), queue.Queue()\nsame = other\n",
    )

    def worker(node):
        with counted.counter.lock, counted.other:
            counted.counter.n += 1 + node.rank
            counted.line.put(node.rank)
            node.barrier()  # nodes that shared a lock would wait for each other here
        return counted.counter.n, counted.line.qsize(), counted.same is counted.other

    assert engine(worker, 2).results == [(1, 1, True), (2, 1, True)]
    assert counted.counter.n == 0 and counted.line.empty()


def test_a_thread_of_a_module_stays_the_modules(module, engine):
    threaded = module("threaded_of_mine", "import threading\nthread, n = threading.Thread(target=print), 0\n")

    def worker(node):
        threaded.n += 1 + node.rank
        node.barrier()
        return threaded.n, threaded.thread.is_alive()

    assert engine(worker, 2).results == [(1, False), (2, False)] and threaded.n == 0
