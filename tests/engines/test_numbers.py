"""Numbers: sums that their type can't hold are told of, whole numbers of any library are ranks and tags."""

import re
import warnings
from functools import partial

import numpy as np
import pytest
import torch

import ddl_lab as lab

RUN = partial(lab.run, progress=False, timeout_s=120)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}


def words(call, argument):
    """What ``call`` says to an argument that it does not take."""
    try:
        call(argument)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


# sums that do not fit

SUMS = {
    "int8": (torch.int8, "sum", [100, 27], [28, 27], "wraps around"),
    "uint8": (torch.uint8, "sum", [200], [56], "wraps around"),
    "int16": (torch.int16, "sum", [2**15 - 1], [1], "wraps around"),
    "int32": (torch.int32, "sum", [2**31 - 1], [1], "wraps around"),
    "int64": (torch.int64, "sum", [2**63 - 1], [1], "wraps around.*torch.float64"),
    "float16": (torch.float16, "mean", [60_000.0, 1.0], [60_000.0, 1.0], "the mean is inf"),
}
FITTING = {
    "up to the largest": (torch.int8, "sum", [100, -100], [27, -28]),
    "there and back": (torch.int8, "sum", [100, 100], [-100, -50]),
    "largest int64": (torch.int64, "sum", [2**63 - 1, -(2**63)], [0, 0]),
    "booleans": (torch.bool, "sum", [True], [True]),
    "no numbers": (torch.int32, "sum", [], []),
    "float16": (torch.float16, "mean", [30_000.0, -65_504.0], [30_000.0, 65_504.0]),
    "inf before": (torch.float16, "mean", [float("inf"), float("nan")], [60_000.0, 60_000.0]),
    "a sum of float16": (torch.float16, "sum", [60_000.0], [60_000.0]),
}


def reducing(node, dtype, op, *rows):
    node.all_reduce(torch.tensor(rows[node.rank], dtype=dtype), op=op)
    chunk = torch.zeros(len(rows[0]), dtype=dtype)
    node.reduce_scatter(chunk, torch.tensor(rows[node.rank] * 2, dtype=dtype), op=op)


def told(engine, case, capfd):
    """The warnings of a run or a simulation, as a user reads them."""
    if engine == "simulate":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            lab.simulate(reducing, 2, args=case)
        return [str(warning.message) for warning in caught]
    lab.run(reducing, 2, transport=engine, args=case)
    return [line for line in capfd.readouterr().err.splitlines() if "Warning" in line]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", SUMS)
def test_a_sum_that_does_not_fit_its_type_is_told_once(engine, case, capfd):
    *given, said = SUMS[case]
    (line,) = told(engine, tuple(given), capfd)
    assert "the sum over 2 ranks passes the largest" in line
    assert re.search(said, line)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", FITTING)
def test_a_sum_that_fits_is_not_accused(engine, case, capfd):
    assert told(engine, FITTING[case], capfd) == []


# ranks and tags

KINDS = {
    "numpy": np.int64, "unsigned": np.uint8, "0-d array": lambda r: np.array(r), "0-d tensor": torch.tensor,
    "0-d int8": lambda r: torch.tensor(r, dtype=torch.int8),
}  # fmt: skip


def numbered(node, kind):
    """Every call that takes a rank or a tag, given numbers of another kind."""
    one, zero, tag = kind(1), kind(0), kind(7)
    pair = node.group(np.array([1, 0])) if kind is np.int64 else node.group([one, zero])
    box = torch.tensor([float(node.rank)])
    if node.rank == 0:
        node.send(box + 1, one, tag)
        node.isend(box + 2, one, tag=tag).wait()
        pair.send(box + 3, zero)
        got = []
    else:
        got = [node.recv(box, zero, tag), box.item(), node.irecv(box, src=zero, tag=tag).wait(), box.item()]
        got += [pair.recv(box, one), box.item()]
    shared = torch.tensor([float(node.rank)])
    node.broadcast(shared, one)
    return got, shared.item(), pair.rank


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_of_numpy_and_torch_are_ranks_and_tags(engine, kind):
    first, second = ENGINES[engine](numbered, 2, args=(KINDS[kind],)).results
    assert first == ([], 1.0, 1) and second == ([0, 1.0, 0, 2.0, 1, 3.0], 1.0, 0)


ODD = [True, np.True_, torch.tensor(True), 1.0, np.float64(1), torch.tensor(1.0), torch.tensor([1]), "1"]


def odd_numbers(node):
    box, said = torch.zeros(1), []
    for odd in ODD:
        for call in (
            lambda odd: node.send(box, odd), lambda odd: node.isend(box, odd),
            lambda odd: node.recv(box, odd), lambda odd: node.irecv(box, odd),
            lambda odd: node.broadcast(box, odd), lambda odd: node.group([0, odd]),
            lambda odd: node.send(box, 1 - node.rank, tag=odd), lambda odd: node.irecv(box, tag=odd),
        ):  # fmt: skip
            said.append(words(call, odd))
    return said + [words(node.group, odd) for odd in (1, None, torch.tensor(1))]


def test_other_things_are_no_ranks_and_no_tags_in_any_engine():
    said = lab.simulate(odd_numbers, 2).results
    assert all("whole number" in text for text in said[0][:-3])
    assert all("takes a list of ranks" in text for text in said[0][-3:])
    for engine in ("shm", "gloo"):
        assert ENGINES[engine](odd_numbers, 2).results == said
