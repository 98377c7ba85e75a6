"""A mean in one byte an entry."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...history.history import History
from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes, same_shape
from ..machine import Exercise
from ..values import NO_RETURN

COUNT = 4000


def _int8_mean(node, vector):  # type: ignore[no-untyped-def]
    largest = vector.abs().max().reshape(1)
    node.all_reduce(largest, op="max")
    limit = 127 // node.world_size  # the sum of n such numbers fits into a byte
    unit = largest / limit
    codes = (vector / unit).round().to(torch.int8)
    node.all_reduce(codes, op="sum")
    return codes * unit / node.world_size


def _mine(rank: int, alike: bool = False) -> Tensor:
    """This rank's vector: others' have another size, and all share a part, so that sums get large.

    The largest in size is below zero. Where all are ``alike``, it is above: no sum of codes gets larger.
    """
    generator = torch.Generator().manual_seed(rank)
    shared = torch.randn(COUNT, generator=torch.Generator().manual_seed(99))
    shared[0] = 6.0 if alike else -6.0
    return shared if alike else (1 + rank) * (shared + 0.3 * torch.randn(COUNT, generator=generator))


def _worker(node: Node, answer: Answer, alike: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a sum leaves int8 is what the check says itself
        vector = _mine(node.rank, alike)
        got = answer(node, vector)
    return got, torch.equal(vector, _mine(node.rank, alike))


def _check_integers(answer: Answer) -> str:
    for nodes, alike in ((2, False), (4, False), (8, False), (4, True)):
        history = on_nodes(_worker, nodes, answer, alike)
        mine = torch.stack([_mine(rank, alike) for rank in range(nodes)])
        mean, largest = mine.mean(0), float(mine.abs().max())
        step = largest / (127 // nodes)
        for rank, (got, _) in enumerate(history.results):
            if got is None:
                raise Wrong(f"what your function returns {NO_RETURN}")
            same_shape(got, mean, f"of {nodes} nodes, rank {rank}'s mean")
            if not float((got.double() - mean).abs().max()) <= 0.51 * step:
                _name_the_fault(got, mean, nodes, rank, step, alike)
        _check_bytes(history, nodes)
        if not all(kept for _, kept in history.results):
            raise Wrong("your function changes its argument vector: whoever called it still needs it")
    return (
        "2, 4 and 8 nodes, and 4 with the same vectors: each entry within half a step, a quarter of the bytes"
    )


def _name_the_fault(got: Tensor, mean: Tensor, nodes: int, rank: int, step: float, alike: bool) -> None:
    worst = float((got.double() - mean).abs().max())
    told = f"of {nodes} nodes, rank {rank}'s mean is off by up to {worst:.3g}, and {step / 2:.3g} would do"
    for words, fault in FAULTS.items():
        wrong, _ = on_nodes(_worker, nodes, fault, alike).results[rank]
        if torch.allclose(got.float(), wrong.float(), rtol=1e-4, atol=1e-4 * float(mean.abs().max())):
            raise Wrong(f"{told}: {words}")
    raise Wrong(told)


def _check_bytes(history: History, nodes: int) -> None:
    most = 2 * (nodes - 1) / nodes * (COUNT + 8) + 16  # a scale may be of any type, and come from all
    for rank, sent in enumerate(history.bytes_sent):
        if sent > most:
            raise Wrong(
                f"the numbers are right, but of {nodes} nodes rank {rank} sends {sent:,} bytes where "
                f"{most:,.0f} would do: reduce int8, a byte an entry, and nothing else but one scale"
            )


def _scaled(limit_of: Callable[[int], float], own: bool = False, mean: bool = True) -> Answer:
    def fault(node: Node, vector: Tensor) -> Tensor:
        largest = vector.abs().max().reshape(1)
        if not own:
            node.all_reduce(largest, op="max")
        unit = largest / limit_of(node.world_size)
        codes = (vector / unit).round().to(torch.int8)
        node.all_reduce(codes, op="sum")
        return codes * unit / (node.world_size if mean else 1)

    return fault


FAULTS: dict[str, Answer] = {
    "with codes up to 127 the sum of n of them leaves int8, and wraps around: leave room for n": _scaled(
        lambda n: 127
    ),
    "codes up to 63 leave room for two nodes; n of them need 127 // n": _scaled(lambda n: 63),
    "codes up to 127 / n are rounded up, and n of them add up to 128, which wraps around: 127 // n": _scaled(
        lambda n: 127 / n
    ),
    "n codes of 128 // n add up to 128, and int8 ends at 127: 127 // n": _scaled(lambda n: 128 // n),
    "every rank has a scale of its own, so codes of one size mean different numbers: agree on one": _scaled(
        lambda n: 127 // n, own=True
    ),
    "that is the sum of all ranks: the mean was asked": _scaled(lambda n: 127 // n, mean=False),
}


integers = Exercise(
    key="11.integers",
    title="A mean in one byte an entry",
    difficulty=2,
    minutes=10,
    reference=_int8_mean,
    check=_check_integers,
    hints=(
        "All ranks must mean the same by a code: agree on the largest entry first, with op='max'.",
        "int8 ends at 127, and so must the sum of n codes: each may be 127 // n at most.",
        "unit = largest / (127 // n); codes = (vector / unit).round().to(torch.int8); all_reduce them.",
    ),
)
