"""One meaning: every type of number, in every layout, through every call, over every engine.

The whole table is one worker's run. What a call gives is held against torch's own reckoning; what is refused
is refused in the same words everywhere. ``make fuzz`` plays all of it; the suite every type through every
call, every layout through every call and every layout of every type, but not all of every three.
"""

import functools
import itertools
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from faulty import FUZZ

import ddl_lab as lab
from ddl_lab.node.reduction import OPS, REDUCED, TRAVELS

RUN = partial(lab.run, progress=False, timeout_s=120)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}
REFUSED = sorted({d for d in vars(torch).values() if isinstance(d, torch.dtype)} - {*TRAVELS}, key=str)
LAYOUTS = (
    "flat", "square", "columns", "every other", "single", "0-d", "empty", "offset", "conjugated", "negated",
    "of a graph", "parameter", "subclass", "channels last",
)  # fmt: skip
BESIDE = ("flat", "columns", "0-d", "empty", "conjugated")  # of calls that do not block
READ_ONLY = ("expanded", "unfolded", "of a graph")
GIVING = ("send", "isend", "all_gather", "gather", "give")  # what they take may be part of a graph
CALLS = (
    "send",
    "recv",
    "isend",
    "broadcast",
    "all_gather",
    "list",
    "gather",
    "give",
    "take",
    "exchange",
    "rows",
)
CALLS += tuple(itertools.product(("reduce", "scatter", "to one"), OPS))
COLLECTIVE = tuple(call for call in CALLS if call not in ("send", "recv", "isend"))


class Subclass(torch.Tensor):
    """A user's own kind of tensor."""


def numbers(dtype, rank, count=12):
    """Small numbers that every type holds, with a NaN on rank 1 where there is one."""
    made = torch.arange(count, dtype=torch.float64) % 5 + 3 * rank
    if dtype.is_floating_point and dtype not in (torch.float8_e8m0fnu,):
        made[0] = float("nan") if rank else 1.0
    if dtype.is_complex:
        made = made + 1j * (made.flip(0) - rank)
    return made.to(dtype)


def laid(dtype, layout, rank):
    """A tensor of ``dtype`` in ``layout``, or None where there is none."""
    flat = numbers(dtype, rank)
    if layout == "conjugated":
        return flat.conj() if dtype.is_complex else None
    if layout == "negated":
        parts = {
            torch.float32: torch.complex64,
            torch.float64: torch.complex128,
            torch.float16: torch.complex32,
        }
        return numbers(parts[dtype], rank).conj().imag if dtype in parts else None
    if layout in ("of a graph", "parameter"):
        if not dtype.is_floating_point or dtype.itemsize < 2:
            return None
        leaf = flat.requires_grad_()
        return leaf if layout == "parameter" else leaf * 1
    return {
        "flat": lambda: flat, "square": lambda: flat.view(3, 4), "columns": lambda: flat.view(3, 4).T,
        "every other": lambda: flat[::2], "single": lambda: flat[6::4][:1],  # with a stride of 4
        "0-d": lambda: flat[3], "empty": lambda: flat[:0].view(0, 3),
        "offset": lambda: flat[5:], "expanded": lambda: flat[1:2].expand(4),
        "unfolded": lambda: flat.unfold(0, 3, 1), "subclass": lambda: flat.as_subclass(Subclass),
        "channels last": lambda: flat.view(1, 2, 2, 3).contiguous(memory_format=torch.channels_last),
    }[layout]()  # fmt: skip


def bits(tensor):
    """Type, shape and numbers, which travel and compare; NaN is NaN whatever its bits."""
    plain = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
    plain = plain.clone(memory_format=torch.contiguous_format)
    if plain.dtype.is_floating_point and plain.dtype.itemsize > 1:
        plain = plain.nan_to_num(nan=-77.0)
    return str(plain.dtype), tuple(plain.shape), plain.reshape(-1).view(torch.uint8).tolist()


def one(node, call, dtype, layout, beside=False):
    """What ``call`` gives on this node, or what it says; ``beside``: with ``async_op=True``."""
    own = laid(dtype, layout, node.rank)
    try:
        return play(node, call, own, beside)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def play(node, call, own, beside):
    if call in ("send", "recv", "isend"):
        return message(node, call, own)
    name, op = call if isinstance(call, tuple) else (call, "sum")
    copy, box = own.detach().clone(), torch.empty(own.shape, dtype=own.dtype)
    there = [copy, copy.clone()]  # what a call takes from a list
    whole = torch.empty(2, *own.shape, dtype=own.dtype)
    rows = [[len(own), 0], [0, len(own)]][node.rank] if own.dim() else None  # each has its own alone
    made = {"all_gather": whole, "list": [box, own], "give": box, "exchange": [own, box]}.get(name, own)
    if name == "gather":
        made = [box, box.clone()] if node.rank else None
    calls = {
        "broadcast": lambda **option: node.broadcast(own, 1, **option),
        "all_gather": lambda **option: node.all_gather(whole, own, **option),
        "list": lambda **option: node.all_gather(made, copy, **option),
        "gather": lambda **option: node.gather(own, made, 1, **option),
        "give": lambda **option: node.scatter(box, [own, copy] if node.rank else None, 1, **option),
        "take": lambda **option: node.scatter(own, None if node.rank else there, 0, **option),
        "exchange": lambda **option: node.all_to_all(made, there, **option),
        "rows": lambda **option: node.all_to_all_single(own, copy, rows, rows, **option),
        "reduce": lambda **option: node.all_reduce(own, op, **option),
        "to one": lambda **option: node.reduce(own, 1, op, **option),
        "scatter": lambda **option: node.reduce_scatter(own, there, op, **option),
    }
    handle = calls[name](async_op=beside)
    if handle is not None:
        handle.wait()
    return tuple(map(bits, made)) if isinstance(made, list) else made if made is None else bits(made)


def message(node, call, own):
    if node.rank == 0:
        given = own if call != "recv" else own.detach().clone()
        node.isend(given, 1).wait() if call == "isend" else node.send(given, 1)
        return None
    box = own if call == "recv" else torch.empty_like(own.detach().as_subclass(torch.Tensor).contiguous())
    node.irecv(box, 0).wait() if call == "isend" else node.recv(box, 0)
    return bits(box)


def table(node, beside=False):
    """All of it, by (call, dtype, layout)."""
    warnings.simplefilter("ignore")  # half complex numbers are experimental
    found = {}
    calls, layouts = (COLLECTIVE, BESIDE) if beside else (CALLS, LAYOUTS)
    for call, dtype, layout in itertools.product(calls, TRAVELS, layouts):
        if layout == "of a graph" and call not in GIVING:
            continue
        if laid(dtype, layout, 0) is not None and is_played(call, dtype, layout):
            found[call, str(dtype), layout] = one(node, call, dtype, layout, beside)
    return found


PLAIN = ("flat",)  # in which the suite plays every type through every call
COMMON = (torch.float32, torch.int64, torch.complex64)  # which it plays in every layout through every call
EVERY = ("broadcast", ("reduce", "sum"))  # and through which every type in every layout


def is_played(call, dtype, layout):
    return FUZZ or layout in PLAIN or dtype in COMMON or call in EVERY


@functools.cache
def results(engine, beside=False):
    return ENGINES[engine](table, 2, args=(beside,)).results


def expected(call, dtype, layout, rank):
    """What torch makes of the two ranks' tensors."""
    zero, other = (laid(dtype, layout, r).detach().clone() for r in range(2))
    if call in ("send", "recv", "isend"):
        return bits(zero) if rank else None
    if call == "broadcast":
        return bits(other)
    if call == "all_gather":
        plain = [part.as_subclass(torch.Tensor).resolve_conj().resolve_neg() for part in (zero, other)]
        return bits(torch.cat([part[None] for part in plain]))
    if call in ("list", "gather"):
        return (bits(zero), bits(other)) if rank or call == "list" else None
    if call in ("give", "take"):
        return bits(other if call == "give" else zero)
    if call == "exchange":
        return bits(zero), bits(other)
    if call == "rows":
        return bits(other if rank else zero)
    op = call[1]
    if dtype not in REDUCED[op]:
        return None
    if call[0] == "to one" and rank == 0:
        return bits(zero)
    combined = {"max": torch.maximum, "min": torch.minimum}.get(op, torch.add)(zero, other)
    return bits(combined / 2 if op == "mean" else combined)


def is_refused(call, dtype, layout):
    if call == "rows" and layout == "0-d":
        return True  # it has none
    return isinstance(call, tuple) and dtype not in REDUCED[call[1]]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_call_gives_what_torch_makes_of_every_type_and_layout(engine):
    dtypes = {str(dtype): dtype for dtype in TRAVELS}
    for rank, found in enumerate(results(engine)):
        for (call, name, layout), got in found.items():
            want = expected(call, dtypes[name], layout, rank)
            refused = isinstance(got, str)
            assert refused == is_refused(call, dtypes[name], layout), (call, name, layout, got)
            assert refused or got == want, (call, name, layout, got, want)


@pytest.mark.parametrize("engine", ["shm", "gloo"])
def test_what_one_engine_takes_or_refuses_all_do_in_the_same_words(engine):
    assert results(engine) == results("simulate")


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_that_do_not_block_take_refuse_and_give_the_same(engine):
    for found, blocking in zip(results(engine, beside=True), results("simulate"), strict=True):
        assert found == {key: blocking[key] for key in found}


def test_what_is_refused_says_what_to_try():
    found = results("simulate")[0]
    assert found[("reduce", "sum"), "torch.uint16", "flat"] == (
        "ValueError: node.all_reduce(op='sum') got torch.uint16, with which torch itself does not reckon: "
        "convert it first, with .to(torch.int64)."
    )
    assert ".to(torch.float32)" in found[("reduce", "max"), "torch.float8_e5m2", "flat"]
    assert "have an order" in found[("scatter", "max"), "torch.complex64", "flat"]
    assert "takes floating-point tensors" in found[("scatter", "mean"), "torch.int64", "flat"]


def refusals(node):
    """What no call takes, by name."""
    warnings.simplefilter("ignore")
    raw = torch.zeros(64, dtype=torch.uint8)
    odd = {str(dtype): raw.view(dtype) for dtype in REFUSED}
    odd |= {"sparse": torch.eye(2).to_sparse(), "csr": torch.eye(2).to_sparse_csr()}
    odd |= {"meta": torch.ones(2, device="meta"), "list": [1.0], "numpy": np.ones(2)}
    odd |= {"nested": torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])}
    calls = {
        "send": lambda t: node.send(t, 1 - node.rank), "isend": lambda t: node.isend(t, 1 - node.rank),
        "recv": lambda t: node.recv(t, 1 - node.rank), "irecv": lambda t: node.irecv(t, 1 - node.rank),
        "broadcast": lambda t: node.broadcast(t, 0), "all_reduce": lambda t: node.all_reduce(t),
        "all_gather": lambda t: node.all_gather([t, t], t),
        "scatter": lambda t: node.reduce_scatter(t, [t, t]),
        "gather": lambda t: node.gather(t, [t, t], node.rank), "to one": lambda t: node.reduce(t, node.rank),
        "give": lambda t: node.scatter(t, [t, t], node.rank), "rows": lambda t: node.all_to_all_single(t, t),
        "exchange": lambda t: node.all_to_all([t, t], [t, t]),
    }  # fmt: skip
    said = {}
    for (name, call), (what, tensor) in itertools.product(calls.items(), odd.items()):
        said[name, what] = words(call, tensor)
    for name, layout in itertools.product(("recv", "irecv", "broadcast", "all_reduce"), READ_ONLY):
        said[name, layout] = words(calls[name], laid(torch.float32, layout, 0))
    said["irecv", "conjugated"] = words(calls["irecv"], laid(torch.complex64, "conjugated", 0))
    return said


def words(call, tensor):
    try:
        call(tensor)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


def test_what_no_call_takes_is_refused_everywhere_in_the_same_words():
    said = lab.simulate(refusals, 2).results
    assert not [what for rank in said for what, got in rank.items() if got == "taken"]
    for engine in ("shm", "gloo"):
        assert ENGINES[engine](refusals, 2).results == said


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("nodes", [2, 3])
def test_many_numbers_of_a_type_that_no_library_reduces_are_reduced_in_blocks(engine, nodes):
    def worker(node):
        counts = torch.full((600_000,), node.rank + 1, dtype=torch.int16)
        counts[-1] = 7
        node.all_reduce(counts)
        return counts[0].item(), counts[-1].item(), counts.unique().numel()

    assert ENGINES[engine](worker, nodes).results == [(nodes * (nodes + 1) // 2, 7 * nodes, 2)] * nodes
