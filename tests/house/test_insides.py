"""What the package looks into that Python and torch promise nobody: each by name, and what depends on it.

After an update of Python or torch this is the file to read: a failure says which inside is gone or has
another meaning, and which file of the package must find another way.
"""

import asyncio
import dis
import functools
import logging
import os
import random
import threading
import warnings

import pytest
import torch
from torch.utils import _device
from torch.utils._python_dispatch import TorchDispatchMode


def gone(inside, user):
    return f"{inside} is gone or means something else: {user} must find another way"


PYTHONS = [
    (random, "_inst", "travel/generators.py, which swaps each node's random state"),
    (warnings, "_showwarnmsg_impl", "travel/settings.py, which swaps each node's warnings"),
    (warnings, "_filters_mutated", "travel/settings.py, which tells warnings of new filters"),
    (logging, "_handlerList", "travel/settings.py, which sees by it whether a handler was added"),
    (os.environ, "_data", "travel/settings.py, which swaps each node's environment"),
    (asyncio.events, "_get_running_loop", "travel/settings.py, which lets a node call asyncio.run"),
    (asyncio.events, "_set_running_loop", "travel/settings.py, which lets a node call asyncio.run"),
    (functools, "_lru_cache_wrapper", "travel/modules.py, which empties a cache for each node"),
]
TORCHS = [
    "_len_torch_function_stack", "_len_torch_dispatch_stack", "_get_function_stack_at",
    "_get_dispatch_stack_at", "_is_any_autocast_enabled", "_current_graph_task_id", "_set_grad_enabled",
    "_get_deterministic_algorithms",
    "_get_deterministic_algorithms_warn_only", "_get_cudnn_benchmark", "_get_cudnn_deterministic",
]  # fmt: skip


@pytest.mark.parametrize(("home", "name", "user"), PYTHONS, ids=lambda value: str(value)[:30])
def test_what_python_promises_nobody_is_there(home, name, user):
    assert hasattr(home, name), gone(f"{home!r:.60}.{name}", user)


@pytest.mark.parametrize("name", TORCHS)
def test_what_torch_promises_nobody_is_there(name):
    assert hasattr(torch._C, name), gone(f"torch._C.{name}", "node/context.py or travel/settings.py")


def test_all_ways_back_through_autograd_lead_by_one_function(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("refused")

    monkeypatch.setattr(torch.autograd, "_engine_run_backward", refuse)
    x = torch.ones(1, requires_grad=True)
    for way in (torch.Tensor.backward, torch.autograd.backward, lambda y: torch.autograd.grad(y, x)):
        with pytest.raises(RuntimeError, match="refused"):
            way(2 * x)
            pytest.fail(gone("torch.autograd._engine_run_backward", "exercises/contest/fair.py"))


def test_randoms_one_generator_is_what_its_functions_use():
    state = random._inst.getstate()
    random.random()
    assert random._inst.getstate() != state, gone("random._inst", "travel/generators.py")


def test_the_environment_keeps_what_is_set_in_its_dictionary_of_bytes(monkeypatch):
    monkeypatch.setenv("DDL_LAB_INSIDE", "1")
    assert os.environ._data.get(b"DDL_LAB_INSIDE") == b"1", gone("os.environ._data", "travel/settings.py")


def test_a_warning_filter_is_a_tuple_in_a_list_that_is_replaced_or_grows():
    with warnings.catch_warnings():
        before = list(warnings.filters)
        warnings.simplefilter("ignore")
        told = gone("warnings.filters", "travel/settings.py, which looks at its first entry")
        assert warnings.filters[0][0] == "ignore" and warnings.filters[1:] == before, told


def test_the_running_loop_can_be_put_aside():
    loop = asyncio.new_event_loop()
    try:
        asyncio.events._set_running_loop(loop)
        assert asyncio.events._get_running_loop() is loop
    finally:
        asyncio.events._set_running_loop(None)
        loop.close()
    assert asyncio.events._get_running_loop() is None, gone("asyncio's running loop", "travel/settings.py")


def untouched_one(x):
    """Only words."""
    ...


def touched_one(x):
    """Words and a line."""
    return x + 1


def test_an_empty_body_has_the_same_bytecode_wherever_it_stands():
    from ddl_lab.exercises.stubs import untouched

    told = gone("the bytecode of a body of three dots", "exercises/stubs.py")
    assert untouched(untouched_one) and not untouched(touched_one), told
    names = {step.opname for step in dis.get_instructions(untouched_one)}
    assert names <= {"RESUME", "NOP", "RETURN_CONST", "LOAD_CONST", "RETURN_VALUE"}, told


def test_an_import_inside_a_function_can_be_read_from_its_bytecode():
    def worker():
        import colorsys

        return colorsys

    found = [step.argval for step in dis.get_instructions(worker) if step.opname == "IMPORT_NAME"]
    assert found == ["colorsys"], gone("IMPORT_NAME", "travel/modules.py, which reads a worker's imports")


def test_an_exception_can_be_raised_in_another_thread():
    """processes/job/limit.py ends a rank's call that way when its time is over."""
    import ctypes

    class Over(BaseException):
        pass

    seen, begun = [], threading.Event()

    def wait():
        try:
            begun.set()
            while True:
                threading.Event().wait(0.01)
        except Over:
            seen.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Over))
    thread.join(30)
    assert seen == [True], gone("PyThreadState_SetAsyncExc", "processes/job/limit.py")


def test_torch_tells_of_open_modes_and_of_the_device_that_is_set():
    class Mode(TorchDispatchMode):
        pass

    assert torch._C._len_torch_dispatch_stack() == torch._C._len_torch_function_stack() == 0
    with Mode() as mode:
        told = gone("torch's stack of modes", "node/context.py, which refuses an open with-block by it")
        assert torch._C._get_dispatch_stack_at(0) is mode, told
    with torch.device("meta"):
        assert torch._C._len_torch_function_stack() == 1, told
    torch.set_default_device("meta")
    try:
        told = gone("the device of set_default_device", "travel/settings.py, which swaps it with the node")
        assert torch._GLOBAL_DEVICE_CONTEXT.device_context is torch._C._get_function_stack_at(0), told
    finally:
        torch.set_default_device(None)
    assert _device.CURRENT_DEVICE is None and torch._C._len_torch_function_stack() == 0, told


def test_torch_tells_whether_it_goes_backward():
    seen = []
    x = torch.ones(1, requires_grad=True)
    y = x * 2
    y.register_hook(lambda _: seen.append(torch._C._current_graph_task_id()))
    y.backward()
    told = gone("torch._C._current_graph_task_id", "node/context.py, which refuses calls from hooks by it")
    assert torch._C._current_graph_task_id() == -1, told
    assert seen[0] != -1, told
