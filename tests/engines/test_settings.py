"""Settings of the whole process belong to a node, and a run or a simulation leaves them as they were."""

import contextlib
import io
import logging
import os
import signal
import sys
import time
import warnings
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import ddl_lab as lab

ENGINES = {
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "simulate": lab.simulate,
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def stands():
    """What a simulation must leave as it was."""
    return (
        *(sys.stdout, sys.stderr, os.getcwd(), dict(os.environ), type(os.environ._data), os.chdir),
        *(warnings.filters, list(warnings.filters), warnings.showwarning, torch.get_default_device()),
        *(torch.is_anomaly_enabled(), torch.are_deterministic_algorithms_enabled()),
        *(torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        *(torch.backends.mkldnn.enabled, torch.get_float32_matmul_precision(), list(sys.path)),
        *(sys.getrecursionlimit(), repr(torch.tensor(1 / 3))),
        *map(signal.getsignal, signal.valid_signals()),
        *(signal.alarm, signal.setitimer),
        *(logging.root.level, list(logging.root.handlers), logging.getLogger("mine").level),
    )


def output(node):
    with contextlib.redirect_stdout(io.StringIO()) as told:
        print("rank", node.rank)
        node.barrier()
        print("after", node.rank)
    return told.getvalue()


def device(node):
    if node.rank:
        torch.set_default_device("meta")
    node.barrier()
    return torch.empty(1).device.type, torch.get_default_device().type


def flags(node):
    torch.use_deterministic_algorithms(node.rank == 1, warn_only=True)
    torch.autograd.set_detect_anomaly(node.rank == 0)
    torch.backends.cudnn.benchmark = node.rank == 1
    torch.backends.cudnn.deterministic = node.rank == 0
    node.barrier()
    told = torch.are_deterministic_algorithms_enabled(), torch.is_anomaly_enabled()
    return *told, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic


def environment(node):
    os.environ["MINE"] = str(node.rank)
    if node.rank:
        del os.environ["PATH"]
    node.barrier()
    return os.environ["MINE"], os.getenv("PATH") is None


def folder(node):
    if node.rank:
        with contextlib.chdir("/"):
            node.barrier()
            inside = os.getcwd()
    else:
        node.barrier()
        inside = os.getcwd()
    return inside == "/", os.getcwd() == "/"


def warned(node):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        node.barrier()
        warnings.warn(f"rank {node.rank}", stacklevel=1)
        node.barrier()
    if node.rank:
        warnings.simplefilter("error")
    node.barrier()
    return [str(w.message) for w in caught], warnings.filters[0][0] == "error"


def logged(node):
    text = io.StringIO()
    mine = logging.getLogger("mine")
    mine.addHandler(logging.StreamHandler(text))
    mine.setLevel(logging.INFO if node.rank else logging.ERROR)
    node.barrier()
    mine.info("info %s", node.rank)
    mine.error("error %s", node.rank)
    node.barrier()
    return text.getvalue()


def figures(node):
    import matplotlib.pyplot as plt

    made = plt.figure()
    node.barrier()
    plt.gca().set_title(str(node.rank))
    node.barrier()
    return plt.gcf() is made, plt.gca().get_title(), len(plt.get_fignums())


def arithmetic(node):
    """What matrix products go by, also on a CPU."""
    torch.backends.mkldnn.enabled = node.rank == 1
    torch.set_float32_matmul_precision("high" if node.rank else "medium")
    node.barrier()
    return torch.backends.mkldnn.enabled, torch.get_float32_matmul_precision()


def conveniences(node):
    sys.path.append("/nowhere")
    sys.setrecursionlimit(2_345)
    torch.set_printoptions(precision=2)
    node.barrier()
    return sys.path[-1], sys.getrecursionlimit(), repr(torch.tensor(1 / 3))


def handlers(node):
    heard = []
    signal.signal(signal.SIGUSR1, lambda *_: heard.append(node.rank))
    if node.rank:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    node.barrier()
    signal.raise_signal(signal.SIGUSR1)
    node.barrier()
    return heard, signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN


def clocks(node):
    rings = []
    signal.signal(signal.SIGALRM, lambda *_: rings.append(node.rank))
    if node.rank:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    node.barrier()
    if node.rank == 0:
        time.sleep(0.2)  # the other's clock stands meanwhile, or rings in a process of its own
    node.barrier()
    while node.rank and not rings:
        time.sleep(0.01)
    return rings


CASES = {
    handlers: [([0], False), ([1], True)],
    clocks: [[], [1]],
    output: ["rank 0\nafter 0\n", "rank 1\nafter 1\n"],
    device: [("cpu", "cpu"), ("meta", "meta")],
    flags: [(False, True, False, True), (True, False, True, False)],
    environment: [("0", False), ("1", True)],
    folder: [(False, False), (True, False)],
    warned: [(["rank 0"], False), (["rank 1"], True)],
    logged: ["error 0\n", "info 1\nerror 1\n"],
    arithmetic: [(False, "medium"), (True, "high")],
    conveniences: [("/nowhere", 2_345, "tensor(0.33)")] * 2,
    figures: [(True, "0", 1), (True, "1", 1)],
}


@pytest.mark.parametrize("worker", CASES, ids=lambda worker: worker.__name__)
def test_a_setting_is_the_nodes_own_and_ends_with_it(engine, worker):
    import matplotlib.pyplot as plt

    before, shown = stands(), plt.get_fignums()
    assert engine(worker, 2).results == CASES[worker]
    assert stands() == before and plt.get_fignums() == shown


class TextOnly(io.TextIOBase):
    """As a notebook's output: it takes text, and its descriptor is another's."""

    def __init__(self):
        self.text = ""

    def writable(self):
        return True

    def write(self, text):
        self.text += text
        return len(text)

    def fileno(self):
        return 1


def test_a_node_writes_bytes_and_asks_for_the_descriptor_where_its_caller_takes_text(engine, monkeypatch):
    def worker(node):
        for _ in range(2):
            sys.stdout.buffer.write(f"é {node.rank}\n".encode())
            sys.stderr.buffer.flush()
            node.barrier()
        return isinstance(sys.stdout.fileno(), int)

    shown = TextOnly()
    monkeypatch.setattr(sys, "stdout", shown)
    assert engine(worker, 2, progress=True).results == [True] * 2
    lines = [line.rpartition("] ")[2] for line in shown.text.splitlines()]
    assert sorted(lines) == ["é 0", "é 0", "é 1", "é 1"]
    assert not hasattr(shown, "buffer")


def test_a_nodes_settings_end_with_an_error_too(engine):
    def worker(node):
        sys.stdout = io.StringIO()
        torch.set_default_device("meta")
        os.environ["MINE"] = "x"
        os.chdir("/")
        node.barrier()
        raise ValueError

    before = stands()
    with pytest.raises(lab.WorkerError, match="ValueError"):
        engine(worker, 2)
    assert stands() == before


@pytest.mark.parametrize("worker", [handlers, clocks])
def test_the_callers_alarm_clock_rings_when_it_was_to(engine, worker):
    rings = []
    before = signal.signal(signal.SIGALRM, lambda *_: rings.append(time.monotonic()))
    try:
        began, left = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, 0.3)
        assert engine(worker, 2).results == CASES[worker]
        while not rings:
            assert time.monotonic() < began + 30
            time.sleep(0.01)
        assert len(rings) == 1 and rings[0] - began >= 0.3
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)


def test_between_slices_the_caller_has_its_own_settings():
    def worker(node):
        torch.set_default_device("meta")
        os.chdir("/")
        for _ in range(5):
            node.barrier()
        return torch.empty(1).device.type, os.getcwd()

    before = stands()
    with lab.virtual.simulation.Simulation(worker, 2) as simulation:
        while not simulation.advance(0.0):
            assert stands() == before
    assert simulation.history.results == [("meta", "/")] * 2


def test_the_callers_modes_do_not_reach_the_nodes(engine):
    with torch.device("meta"):
        assert engine(device, 2).results == CASES[device]
        assert torch.empty(1).device.type == "meta"
    torch.set_default_device("meta")
    try:
        assert engine(device, 2).results == CASES[device]
        assert torch.empty(1).device.type == "meta"
    finally:
        torch.set_default_device(None)


BLOCKS = {
    "torch.device": lambda: torch.device("meta"),
    "FlopCounterMode": lambda: FlopCounterMode(display=False),
    "torch.profiler.profile": lambda: torch.profiler.profile(),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_an_open_block_of_torch_around_a_call_is_refused_by_name(engine, name):
    def worker(node):
        with blocks[name]():
            node.barrier()

    blocks = BLOCKS
    with pytest.raises(lab.WorkerError, match=rf"node\.barrier inside a with-block of {name}"):
        engine(worker, 2)
    assert torch.empty(1).device.type == "cpu" and torch._C._len_torch_dispatch_stack() == 0


def test_a_block_that_ends_before_the_call_counts_its_own_node(engine):
    def worker(node):
        counted = []
        for _ in range(2):
            with FlopCounterMode(display=False) as counter:
                torch.ones(4, 4) @ torch.ones(4, 4)
            node.barrier()
            counted.append(counter.get_total_flops())
        return counted

    assert engine(worker, 3).results == [[128, 128]] * 3
