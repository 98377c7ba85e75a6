"""Results in a saved file: every kind comes back as it was, or is named as one that can't be kept."""

import enum
import math
import re
import warnings
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch

from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder

Pair = namedtuple("Pair", "x y")
Colour = enum.IntEnum("Colour", "RED GREEN")

DTYPES = sorted(
    {
        d
        for d in vars(torch).values()
        if isinstance(d, torch.dtype) and "qu" not in str(d) and "qint" not in str(d)
    },
    key=str,
)


def loaded(tmp_path, *results):
    recorders = [Recorder() for _ in results]
    history = History("virtual", recorders, list(results), dict.fromkeys(range(len(results)), 1.0))
    return History.load(history.save(tmp_path / "run")).results


def kept(tmp_path, result):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".* lacks ")
        return loaded(tmp_path, result)[0]


def bits(tensor):
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).tolist()


def same(a, b):
    """Equal in kind, type and every bit."""
    if isinstance(b, torch.Tensor):
        assert (a.dtype, a.layout, a.shape, a.device) == (b.dtype, b.layout, b.shape, b.device)
        if a.is_sparse:
            assert a.is_coalesced() == b.is_coalesced()
        return a.is_meta or (
            torch.equal(a.to_dense(), b.to_dense()) if a.layout != torch.strided else bits(a) == bits(b)
        )
    if isinstance(b, np.ndarray | np.generic):
        padded = b.dtype.char in "gG"  # of the sixteen bytes of a longdouble some are nobody's
        equal = np.array_equal(a, b) if padded else a.tobytes() == b.tobytes()
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and equal
    if isinstance(b, float | complex):
        return repr(a) == repr(b)
    return type(a) is type(b) and a == b


def tensors(dtype):
    """Tensors of ``dtype`` in every layout it can have: (its name, tensor)."""
    flat = torch.arange(96, dtype=torch.uint8).view(dtype)
    yield from [("flat", flat), ("empty", flat[:0]), ("no rows", flat[:0].reshape(0, 3)), ("0-d", flat[1])]
    square = flat[:4].reshape(2, 2)
    yield from [("square", square), ("meta", flat.to("meta"))]
    if re.fullmatch(r"torch\.u?int[1-7]", str(dtype)):
        return  # torch copies nothing of these
    yield from [("columns", square.T), ("every other", flat[:4:2]), ("expanded", flat[:1].expand(3))]
    yield "single, with a stride", flat[:2:2]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_type_come_back_in_every_layout(tmp_path, dtype):
    given = dict(tensors(dtype))
    for name, back in kept(tmp_path, given).items():
        assert same(back, given[name]), name


@pytest.mark.parametrize("dtype", [torch.complex32, torch.complex64, torch.complex128], ids=str)
def test_conjugated_and_negated_views_keep_their_numbers(tmp_path, dtype):
    numbers = torch.tensor([1 + 2j, -3j], dtype=dtype)
    for view in (numbers.conj(), numbers.conj().imag, numbers.conj()[:0], numbers.conj()[1]):
        back = kept(tmp_path, view)
        assert same(back, view) and not back.is_conj() and not back.is_neg()


DENSE = torch.tensor([[0.0, 2, 0, 0], [0, 0, 3, 4]])
SPARSE = {
    "coo": DENSE.to_sparse(),
    "coo with an index twice": torch.sparse_coo_tensor([[1, 1]], [1.0, 2.0], (3,)),
    "coo of rows": DENSE.to_sparse(1),
    "csr": DENSE.to_sparse_csr(),
    "csc": DENSE.to_sparse_csc(),
    "bsr": DENSE.to_sparse_bsr((1, 2)),
    "bsc": DENSE.to_sparse_bsc((2, 1)),
    "empty": torch.zeros(0, 3).to_sparse(),
    "no numbers": torch.zeros(2, 3).to_sparse_csr(),
    "complex": (DENSE * 1j).to_sparse(),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_tensors_come_back_sparse(tmp_path, name):
    assert same(kept(tmp_path, SPARSE[name]), SPARSE[name])


@pytest.mark.parametrize(
    "result",
    [
        None, True, 0, -7, 2**63, -(10**5000), 1.5, math.inf, math.nan, -0.0, 1 - 2j, complex(math.nan, 1),
        "", "text", "line\nαβγ 🙂", "\ud800", b"", b"\x00\xff", [], (), {}, [[], ()], {"a": {"b": [1, (2,)]}},
        {1: "x", (2, 3): "y", 2.5: "z", None: 0, b"k": 1, 1j: 2},
    ],
    ids=lambda r: type(r).__name__,
)  # fmt: skip
def test_plain_values_come_back(tmp_path, result):
    assert same(kept(tmp_path, result), result)


@pytest.mark.parametrize(
    "result",
    [
        np.float64(1.5), np.float32("nan"), np.int64(3), np.bool_(True), np.complex64(1j), np.longdouble(1),
        np.datetime64("2020-01-01"), np.zeros(0), np.zeros((0, 3), np.int8), np.array(2.5), np.array([True]),
        np.arange(6).reshape(2, 3).T, np.array(["a", "bcd"]), np.array([b"x"]), np.arange(4, dtype=">i4"),
        np.zeros(2, [("a", "i4"), ("b", "f8")]), np.arange(4.0, dtype=np.float16)[::2],
    ],
    ids=lambda r: f"{type(r).__name__} {r.dtype}",
)  # fmt: skip
def test_numpy_values_come_back_as_numpy(tmp_path, result):
    assert same(kept(tmp_path, result), result)


def test_subclasses_come_back_as_the_plain_kind(tmp_path):
    given = [Pair(1, [2]), OrderedDict(a=1), Colour.RED, np.str_("a"), torch.nn.Parameter(torch.ones(2))]
    back = kept(tmp_path, given)
    assert back[:4] == [(1, [2]), {"a": 1}, 1, "a"]
    assert [type(x) for x in back] == [tuple, dict, int, str, torch.Tensor]


class _Mute:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (lambda: torch.nn.Linear(1, 1), "a Linear"),
        (lambda: {1, 2}, "a set"),
        (lambda: np.ma.masked_array([1, 2], [0, 1]), "a MaskedArray"),
        (lambda: np.array([None]), "a NumPy array of Python objects"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "a quantized, nested"),
        (lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]), "a quantized, nested"),
        (lambda: torch.arange(8, dtype=torch.uint8).view(torch.int4)[::2], "torch can't copy"),
        (_Mute, "a _Mute"),
        (lambda: nested(500), "more than 100 in one another"),
        (lambda: endless(), "it holds itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_named_and_all_around_it_is_kept(tmp_path, value, named):
    with pytest.warns(UserWarning, match=rf"run\.npz lacks results\[1\]\['odd'\].*{named}"):
        back = loaded(tmp_path, 1, {"odd": value(), "loss": torch.ones(2)})
    assert back[0] == 1 and torch.equal(back[1]["loss"], torch.ones(2))


def nested(depth):
    made = []
    for _ in range(depth):
        made = [made]
    return made


def endless():
    made = []
    made.append(made)
    return made


def test_keys_that_cannot_be_kept_do_not_fall_together(tmp_path):
    given = {frozenset({1}): "a", frozenset({2}): "b", _Mute(): "c", (frozenset(),): "d", "plain": "e"}
    with pytest.warns(UserWarning, match=r"results\[0\]: the key frozenset\(\{1\}\)"):
        back = loaded(tmp_path, given)[0]
    assert list(back.values()) == ["a", "b", "c", "d", "e"] and back["plain"] == "e"
