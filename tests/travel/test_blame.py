"""What can't be sent is named, with the mend."""

import functools
import gc
import itertools
import multiprocessing
import socket
import threading
from types import SimpleNamespace

import pytest
from torch import nn

from ddl_lab.travel.capture import CaptureError, freeze, freeze_result

LOCK = threading.Lock()
CONFIG = {"rate": 0.1, "lock": LOCK}


class Trainer:
    def __init__(self):
        self.lock = LOCK
        self.itself = self

    def step(self, node):
        return node


class Slotted:
    __slots__ = ("lock",)

    def __init__(self):
        self.lock = LOCK


def captures_a_global(node):
    return LOCK


def captures_an_element(node):
    return CONFIG["lock"]


def calls_a_helper(node):
    return captures_an_element(node)


def has_a_default(node, *, lock=LOCK):
    return lock


def closure_over(value):
    def worker(node):
        return value

    return worker


@pytest.mark.parametrize(
    "worker, args, named",
    [
        (captures_a_global, (), r"captures_a_global captures `LOCK` \(a _thread.lock\), which"),
        (captures_an_element, (), r"captures `CONFIG\['lock'\]` \(a _thread.lock\)"),
        (calls_a_helper, (), r"captures_an_element captures `CONFIG\['lock'\]`"),
        (has_a_default, (), r"has_a_default captures `lock`"),
        (closure_over([1, LOCK]), (), r"captures `value\[1\]` \(a _thread.lock\)"),
        (closure_over(Trainer()), (), r"captures `value.lock`"),
        (closure_over(Slotted()), (), r"captures `value.lock`"),
        (Trainer().step, (), r"Trainer.step captures `self.lock`"),
        (functools.partial(has_a_default, lock=LOCK), (), r"has_a_default .* `lock`"),
        (functools.partial(print, LOCK), (), r"print is given `args\[0\]`"),
        (print, (1, {"a": (LOCK,)}), r"print is given `args\[1\]\['a'\]\[0\]`"),
        (closure_over(i for i in ()), (), r"captures `value` \(a generator\)"),
        (closure_over(open(__file__)), (), r"`value` \(an? _io.TextIOWrapper\)"),  # noqa: SIM115
        (closure_over(socket.socket()), (), r"`value` \(a socket.socket\)"),
        (closure_over(multiprocessing.Lock()), (), r"`value` \(a multiprocessing.*Lock\)"),
        ((i for i in ()), (), r"the worker is `<genexpr>` \(a generator\)"),
    ],
    ids=itertools.count(),
)
def test_the_error_names_what_is_captured_and_the_mend(worker, args, named):
    with pytest.raises(CaptureError, match=named) as caught:
        freeze(worker, args)
    assert str(caught.value).endswith("can't be sent to a node: create it inside the worker.")
    gc.collect()  # half a pickle must not lie in a garbage cycle


def test_the_error_names_the_part_of_a_result():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].hook = LOCK
    with pytest.raises(CaptureError, match=r"rank 1 returned `result\['model'\].0.hook` \(a _thr"):
        freeze_result({"model": model}, rank=1)
    with pytest.raises(CaptureError, match=r"a worker returned `result` \(a generator\), which can"):
        freeze_result(i for i in ())


def test_the_search_ends_in_cycles_and_in_depth():
    loop: dict[str, object] = {"lock": LOCK}
    loop["loop"] = [loop, SimpleNamespace(loop=loop)]
    with pytest.raises(CaptureError, match=r"captures `value\['lock'\]`"):
        freeze(closure_over(loop))
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CaptureError, match="can't be sent to a node"):
        freeze(closure_over(deep))
