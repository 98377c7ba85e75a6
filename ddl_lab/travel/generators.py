"""The states of the global random generators (torch's, Python's, numpy's), read and written in microseconds.

A simulation switches tens of thousands of times a second, and asking numpy and ``random`` for their states
costs 100 µs a switch: so they are read and written where they lie in memory, if a test at import finds them
there.
"""

from __future__ import annotations

import ctypes
import random
import struct
import sys
from typing import Any

import numpy as np
import torch
from numpy.random.mtrand import RandomState, _rand, get_bit_generator, set_bit_generator

_torch_generator: Any = torch.default_generator
_python_random: Any = random._inst

# All nodes share this one in turn; the caller's own is put aside meanwhile, and keeps its state.
_nodes_mt19937 = np.random.MT19937()


def seed_everything(rank: int) -> None:
    """The random state every node starts from, in both engines."""
    torch.manual_seed(rank)
    random.seed(rank)
    np.random.seed(rank)


def seed_node(rank: int) -> None:
    """As ``seed_everything``, but accelerators' generators are the caller's."""
    _torch_generator.manual_seed(rank)
    random.seed(rank)
    if get_bit_generator() is not _nodes_mt19937:
        set_bit_generator(_nodes_mt19937)
    np.random.seed(rank)


def read() -> Any:
    """All three states as they are now."""
    if _torch_memory is None or _python_memory is None or _gauss_memory is None:
        return _ask()
    generator = get_bit_generator()
    words = _mt19937_memory.tobytes() if generator is _nodes_mt19937 else None
    of_numpy = generator, words, _gauss_memory.tobytes()
    return _torch_memory.tobytes(), _python_memory.tobytes(), _python_random.gauss_next, of_numpy


def write(states: Any) -> None:
    """Put in force what ``read`` gave."""
    if _torch_memory is None or _python_memory is None or _gauss_memory is None:
        _tell(states)
        return
    of_torch, of_python, gauss, (generator, words, second) = states
    _torch_memory[:] = of_torch
    _python_memory[:], _python_random.gauss_next = of_python, gauss
    if get_bit_generator() is not generator:
        set_bit_generator(generator)
    if words is not None:
        _mt19937_memory[:] = words
    _gauss_memory[:] = second


def _ask() -> Any:
    """As ``read``, where a state does not lie where it was looked for."""
    of_numpy = get_bit_generator(), np.random.get_state(legacy=False)
    return _torch_generator.get_state(), random.getstate(), of_numpy


def _tell(states: Any) -> None:
    of_torch, of_python, (generator, of_numpy) = states
    _torch_generator.set_state(of_torch)
    random.setstate(of_python)
    if get_bit_generator() is not generator:
        set_bit_generator(generator)
    np.random.set_state(of_numpy)


# -- where the states lie in memory ---------------------------------------------------------------


def _memory(address: int, size: int) -> memoryview:
    content = (ctypes.c_ubyte * size).from_address(address)
    return np.frombuffer(memoryview(content), np.uint8).data


def _place(owner: object, content: bytes) -> int | None:
    """Where in the object ``owner`` these bytes lie; None where it can't be known."""
    if sys.implementation.name != "cpython":
        return None
    place = ctypes.string_at(id(owner), type(owner).__basicsize__).find(content)
    return None if place < 0 else place


def _find_torch_state() -> memoryview | None:
    """torch's: seed and counters (20 bytes), 624 words, and two normal samples kept for the next calls.

    No torch operation is run: the fork server imports this.
    """
    one: Any = torch.Generator()
    two: Any = torch.Generator()
    state = bytearray(one.get_state().numpy().tobytes())
    if len(state) != 5056:  # seed, counters, 624 words of 8 bytes, and from 5016 on the two samples
        return None
    struct.pack_into("dddi", state, 5016, 0.1, 0.2, 0.3, True)
    struct.pack_into("f?", state, 5048, 0.4, True)
    one.set_state(torch.frombuffer(state, dtype=torch.uint8))
    words = np.frombuffer(state, np.uint64, 624, 24).astype(np.uint32)
    place = ctypes.string_at(one._cdata, 2600).find(words.tobytes()) - 20
    if place < 0:
        return None
    size = 20 + 4 * 624 + 4 + 8 + 16
    two.manual_seed(2)
    _memory(two._cdata + place, size)[:] = _memory(one._cdata + place, size)
    kept = two.get_state().numpy().tobytes()
    works = kept == one.get_state().numpy().tobytes() and kept[5040] and kept[5052]  # with both samples
    return _memory(_torch_generator._cdata + place, size) if works else None


def _find_python_state() -> memoryview | None:
    """The state of ``random``: an index and 624 words."""
    one, two = random.Random(1), random.Random(2)
    two.random()
    *words, index = one.getstate()[1]
    content = struct.pack("i624I", index, *words)
    place = _place(one, content)
    if place is None:
        return None
    _memory(id(two) + place, len(content))[:] = content
    works = two.getstate() == one.getstate()
    return _memory(id(_python_random) + place, len(content)) if works else None


def _find_numpy_gauss() -> memoryview | None:
    """numpy's second normal sample, kept for the next call: an int, 0 or 1, and a double."""
    one, two = RandomState(1), RandomState(2)
    one.set_state(one.get_state(legacy=False) | {"has_gauss": 1, "gauss": 0.123456789})
    content = struct.pack("id", 1, 0.123456789)
    place = _place(one, content)
    if place is None:
        return None
    _memory(id(two) + place, len(content))[:] = content
    works = two.standard_normal() == 0.123456789
    return _memory(id(_rand) + place, len(content)) if works else None


_torch_memory = _find_torch_state()
_python_memory = _find_python_state()
_gauss_memory = _find_numpy_gauss()
_mt19937_memory = _memory(_nodes_mt19937.ctypes.state_address, 2500)  # 624 words and an index
