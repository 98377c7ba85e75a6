"""Programs by chance: what every rank of a run does, as data that any engine carries out.

A program is a list of moves, each whole in itself: a message with its send, its receive and their waits, a
collective with all its members. Each act of a move has a time, and what a rank does is its acts in the order
of their times. What blocks has one time for all who take part, and what it needs was posted earlier, so no
program can deadlock; and a program without some of its moves is valid too, which makes a failing one short.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from carried import LAYOUTS
from playing import COLLECTIVES, Act

from ddl_lab.node.reduction import OPS, REDUCED, TRAVELS

SIZES = (0, 1, 2, 7, 100, 3_000, 20_000, 150_000)  # elements: in a record, in a slot, in a block, in several
LIKELY = (torch.float32,) * 8


@dataclass(frozen=True)
class Program:
    """``moves`` of ``nodes`` ranks, drawn from ``seed``."""

    seed: int
    nodes: int
    moves: list[list[Act]] = field(default_factory=list)

    def scripts(self) -> list[list[Act]]:
        """What each rank does, in order."""
        acts = sorted((act for move in self.moves for act in move), key=lambda act: act.at)
        return [[act for act in acts if act.rank == rank] for rank in range(self.nodes)]

    def __str__(self) -> str:
        return as_text(self.scripts())


def as_text(scripts: list[list[Act]]) -> str:
    """All acts, a line each."""
    return "\n".join(str(act) for script in scripts for act in script)


# -- drawing --------------------------------------------------------------------------------------


def drawn(seed: int, moves: int | None = None) -> Program:
    """The program of this seed; the same on every machine."""
    draw = random.Random(seed)
    nodes = draw.choice((1, 2, 2, 2, 3, 3, 4, 5))
    made = Program(seed, nodes)
    for number in range(moves or draw.randint(3, 25)):
        kinds = (message, message, message, collective, collective, collective, collected, alone)
        kind = draw.choice(kinds) if nodes > 1 else draw.choice((collective, alone))
        made.moves.append(kind(draw, nodes, number))
    return made


def times(draw: random.Random, count: int) -> list[float]:
    """Moments in order; most moves are short, some last for half of the program."""
    start, length = draw.random(), draw.choice((0.02, 0.1, 0.5))
    return sorted(start + length * draw.random() for _ in range(count))


def members(draw: random.Random, nodes: int, least: int) -> dict[str, Any]:
    """A group in any order of its ranks: of all, of some, or within another group."""
    if draw.random() < 0.5:
        return {"ranks": tuple(range(nodes)), "outer": None}
    ranks = tuple(draw.sample(range(nodes), draw.randint(least, nodes)))
    rest = [rank for rank in range(nodes) if rank not in ranks]
    outer = [*ranks, *draw.sample(rest, draw.randint(0, len(rest)))]
    draw.shuffle(outer)
    return {"ranks": ranks, "outer": tuple(outer) if draw.random() < 0.3 else None}


def of_a_kind(draw: random.Random, dtypes: Sequence[torch.dtype]) -> dict[str, Any]:
    """What a tensor is like."""
    dtype = draw.choice([*(d for d in LIKELY if d in dtypes), *dtypes])
    layout = draw.choice(("flat",) * 3 + LAYOUTS)
    return {"dtype": dtype, "size": 1 if layout == "0-d" else draw.choice(SIZES), "layout": layout}


def message(draw: random.Random, nodes: int, number: int) -> list[Act]:
    """One message or several in a row under one tag, in any of the four ways."""
    group = members(draw, nodes, 2)
    src, dst = draw.sample(range(len(group["ranks"])), 2)
    sender, receiver = group["ranks"][src], group["ranks"][dst]
    kind = of_a_kind(draw, TRAVELS)
    out, into = group | {"peer": dst, "tag": number}, group | {"peer": src, "tag": number}
    way = draw.choice(("send, recv", "isend, recv", "irecv, send", "isend, irecv"))
    acts: list[Act] = []
    for k in range(draw.choice((1, 1, 1, 4)) if way != "send, recv" else 1):
        name = f"{number}.{k}"
        sent = {"name": name, "kind": kind, "holds": number * 100 + k}
        got = sent | {"kind": kind | {"layout": "flat"}} if "irecv" in way else sent
        first, second, *later = times(draw, 6)
        if way == "send, recv":
            first = second
        elif way == "irecv, send" or (way == "isend, irecv" and draw.random() < 0.5):
            first, second = second, first  # of the sender, of the receiver
        acts.append(Act(first, sender, "isend" if "isend" in way else "send", out | sent))
        acts.append(Act(second, receiver, "irecv" if "irecv" in way else "recv", into | got))
        if "isend" in way:
            acts += finish(draw, sender, "sent", name, later[:2])
        if "irecv" in way:
            acts += finish(draw, receiver, "received", name, later[2:])
    return in_order(acts)


def in_order(acts: list[Act]) -> list[Act]:
    """Messages of one tag overtake none: the k-th that is posted is the k-th, on both sides."""
    sends = sorted(act.at for act in acts if act.call in ("send", "isend"))
    receives = sorted(act.at for act in acts if act.call in ("recv", "irecv"))
    return acts if len(sends) < 2 else spread(acts, sends, receives)


def spread(acts: list[Act], sends: list[float], receives: list[float]) -> list[Act]:
    """``acts`` with these times, and all waits after them; what blocks comes after all of the other side."""
    blocking = {act.call for act in acts} & {"send", "recv"}
    last = max(*sends, *receives)
    if "recv" in blocking:
        receives = [last + 1e-3 * (k + 1) for k in range(len(receives))]
    if "send" in blocking:
        sends = [last + 1e-3 * (k + 1) for k in range(len(sends))]
    last = max(*sends, *receives)
    at = {"send": iter(sends), "isend": iter(sends), "recv": iter(receives), "irecv": iter(receives)}
    return [Act(next(at[a.call]) if a.call in at else last + a.at, a.rank, a.call, a.told) for a in acts]


def finish(draw: random.Random, rank: int, call: str, name: str, at: list[float]) -> list[Act]:
    """The wait for a handle, and now and then a look at it before."""
    looks = [Act(at[0], rank, "look", {"name": name})] if draw.random() < 0.3 else []
    return [*looks, Act(at[1], rank, call, {"name": name})]


def collected(draw: random.Random, nodes: int, number: int) -> list[Act]:
    """All others of a group send to one, which takes them from any."""
    group = members(draw, nodes, 2)
    ranks, kind = group["ranks"], of_a_kind(draw, TRAVELS)
    dst = draw.randrange(len(ranks))
    *posts, taking = times(draw, len(ranks))
    acts = [Act(taking, ranks[dst], "collect", group | {"name": str(number), "tag": number, "kind": kind})]
    for rank, post in zip([rank for rank in ranks if rank != ranks[dst]], posts, strict=True):
        sent = {"name": str(number), "kind": kind, "holds": number * 100 + rank}
        acts.append(Act(post, rank, "isend", group | {"peer": dst, "tag": number} | sent))
        acts += finish(draw, rank, "sent", str(number), [taking + 0.1 * draw.random(), taking + 0.2])
    return acts


def collective(draw: random.Random, nodes: int, number: int) -> list[Act]:
    """Any collective of any group; half of them go on beside what their ranks do next."""
    group = members(draw, nodes, 1)
    n, call = len(group["ranks"]), draw.choice(COLLECTIVES)
    op = draw.choice(OPS)
    kind = of_a_kind(draw, tuple(REDUCED[op]) if "reduce" in call else TRAVELS)
    if "reduce" in call and kind["dtype"] not in REDUCED[op]:
        kind["dtype"] = torch.float32
    chunks = tuple(draw.choice((0, 1, 5, 2_000)) for _ in range(n)) if draw.random() < 0.3 else None
    told = group | {"name": str(number), "collective": call, "kind": kind, "op": op, "src": draw.randrange(n)}
    told |= {"chunks": chunks, "number": number, "beside": draw.random() < 0.5}
    told["computing"] = told["beside"] and draw.random() < 0.3
    at, *_ = times(draw, 1)
    acts = [Act(at, rank, "meet", told) for rank in group["ranks"]]
    for rank in group["ranks"] if told["beside"] else ():
        acts += finish(draw, rank, "met", str(number), sorted(at + draw.random() for _ in range(2)))
    return acts


def alone(draw: random.Random, nodes: int, number: int) -> list[Act]:
    """What a rank does by itself."""
    acts = []
    for rank in range(nodes):
        call = draw.choice(("compute", "draw", "record"))
        unit = draw.choice((("samples", 3), ("seconds", 1e-4), ("flops", 1e5)))
        told = {"compute": {"name": str(number), "unit": unit}, "draw": {"name": str(number)}}
        acts.append(Act(draw.random(), rank, call, told.get(call, {"value": number})))
    return acts
