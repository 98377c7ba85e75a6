"""Masks that cancel."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call, same_shape
from ..machine import Exercise

COUNT, MODULUS = 400, 2**32


def _masked(numbers, rank, masks):  # type: ignore[no-untyped-def]
    total = numbers.clone()
    for peer, mask in masks.items():
        total += mask if rank < peer else -mask
    return total % 2**32


def _check_masks(answer: Answer) -> str:
    for clients in (2, 3, 5):
        generator = torch.Generator().manual_seed(clients)
        pairs = {(i, j): torch.randint(MODULUS, (COUNT,), generator=generator)
                 for j in range(1, clients + 1) for i in range(1, j)}  # fmt: skip
        numbers = [torch.randint(-(10**6), 10**6, (COUNT,), generator=generator) for _ in range(clients)]
        sent = [_called(answer, numbers[rank - 1], rank, pairs, clients) for rank in range(1, clients + 1)]
        _check_sum(sent, numbers, pairs, clients)
        _check_range(sent, clients)
        _check_lowest_bits(sent, numbers, clients)
        _check_every_mask(answer, numbers, sent, pairs, clients)
    return "2, 3 and 5 clients: every sum exact, every message spread over all of 2³²"


def _called(
    answer: Answer, numbers: Tensor, rank: int, pairs: dict[tuple[int, int], Tensor], clients: int
) -> Tensor:
    peers = [peer for peer in range(clients, 0, -1) if peer != rank]  # their order tells nothing of the signs
    mine = {peer: pairs[min(rank, peer), max(rank, peer)] for peer in peers}
    got = call(answer, numbers, rank, mine)
    same_shape(got, numbers, f"client {rank}'s message")
    if got.dtype != torch.int64:
        raise Wrong(
            f"client {rank}'s message is {got.dtype}: whole numbers, int64, were asked; floats are rounded, "
            "and int32 ends below 2³¹"
        )
    return torch.as_tensor(got)


def _check_sum(
    sent: list[Tensor], numbers: list[Tensor], pairs: dict[tuple[int, int], Tensor], clients: int
) -> None:
    found, right = sum(sent[1:], sent[0]) % MODULUS, sum(numbers[1:], numbers[0]) % MODULUS
    if torch.equal(found, right):
        return
    both = sum((2 * mask for mask in pairs.values()), torch.zeros_like(right))
    told = f"{clients} clients: the sum of all messages isn't that of their numbers, modulo 2³²"
    for words, wrong in (
        ("both clients of a pair add its mask: one must subtract it, say the higher rank", right + both),
        ("both clients of a pair subtract its mask: one must add it", right - both),
        ("nothing of the numbers is in it: add the masks to them", right * 0),
    ):
        if torch.equal(found, wrong % MODULUS):
            raise Wrong(f"{told}: {words}")
    raise Wrong(
        f"{told}: of each pair one adds the mask and the other subtracts it, once "
        "each; of that the remainder by 2³²"
    )


def _check_range(sent: list[Tensor], clients: int) -> None:
    for rank, message in enumerate(sent, 1):
        if not bool(((message >= 0) & (message < MODULUS)).all()):
            raise Wrong(
                f"{clients} clients: client {rank}'s message has numbers below 0 or above 2³² − 1: take the "
                "sum modulo 2³², or their size tells something of the numbers"
            )
        quarters = message.double().div(MODULUS).histc(4, 0, 1) / COUNT
        if float((quarters - 0.25).abs().max()) > 0.12:
            raise Wrong(
                f"{clients} clients: client {rank}'s message isn't spread over 0 … 2³² − 1, so it tells "
                "something of its numbers: is every mask in it, whole?"
            )


def _check_lowest_bits(sent: list[Tensor], numbers: list[Tensor], clients: int) -> None:
    for rank, (message, own) in enumerate(zip(sent, numbers, strict=True), 1):
        if abs(float(((message - own) % 2).double().mean()) - 0.5) > 0.12:
            raise Wrong(
                f"{clients} clients: client {rank}'s message is odd where its number is, so it tells "
                "something of it: add or subtract each mask once, not twice"
            )


def _check_every_mask(
    answer: Answer,
    numbers: list[Tensor],
    sent: list[Tensor],
    pairs: dict[tuple[int, int], Tensor],
    clients: int,
) -> None:
    for one, other in pairs:
        changed = {**pairs, (one, other): pairs[one, other].roll(1)}
        for rank, peer in ((one, other), (other, one)):
            if torch.equal(_called(answer, numbers[rank - 1], rank, changed, clients), sent[rank - 1]):
                raise Wrong(
                    f"{clients} clients: client {rank}'s message is the same whatever its mask with client "
                    f"{peer}: take all of them, or those whose masks are in it can read it together"
                )


masks = Exercise(
    key="12.masks",
    title="Masks that cancel",
    difficulty=2,
    minutes=8,
    reference=_masked,
    check=_check_masks,
    hints=(
        "Of each pair of clients one adds the mask and the other subtracts it. Both know who is who.",
        "The lower rank adds: `+ mask` if rank < peer, else `- mask`.",
        "At last `% 2**32`: Python's and torch's remainder is never negative.",
    ),
)
