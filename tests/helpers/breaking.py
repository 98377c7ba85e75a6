"""Breaking programs (``programs.py``): one fault in a valid one, and what every engine must say of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from playing import EXCHANGES, Act
from programs import Program, as_text

import ddl_lab as lab

POSTS = ("send", "isend", "recv", "irecv", "collect", "meet")
ENDS = {"isend": "sent", "irecv": "received", "meet": "met"}
STUCK = (lab.DeadlockError,)


@dataclass(frozen=True)
class Broken:
    """A program with one fault: what its ranks do, and which errors may end it."""

    fault: str
    scripts: list[list[Act]]
    errors: tuple[type[lab.LabError], ...]
    rank: int | None = None  # whose error it is, where it is one rank's
    dies: tuple[int, float] | None = None  # the rank that is killed, and after which share of its acts
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.fault} (rank {self.rank}):\n{as_text(self.scripts)}"


def broken(program: Program, draw: random.Random) -> Broken | None:
    """``program`` with a fault by chance; None where this fault needs what it hasn't."""
    fault = draw.choice(FAULTS)
    made = fault(program, draw)
    return made and replace(made, kind=fault.__name__)


def acts_of(program: Program, *calls: str, least: int = 1) -> list[Act]:
    """All acts of these calls; collectives of ``least`` ranks or more."""
    found = [act for script in program.scripts() for act in script if act.call in calls]
    return [act for act in found if len(act.told.get("ranks", (0,) * least)) >= least]


def without(scripts: list[list[Act]], gone: Act) -> list[list[Act]]:
    """Without this act, and without what waits for it."""
    end = ENDS.get(gone.call)

    def goes(act: Act) -> bool:
        waits = act.call in (end, "look") and act.told["name"] == gone.told["name"]
        return act is gone or (act.rank == gone.rank and end is not None and waits)

    return [[act for act in script if not goes(act)] for script in scripts]


def instead(scripts: list[list[Act]], old: Act, *new: Act) -> list[list[Act]]:
    """With other acts in the place of one."""
    return [[n for act in script for n in (new if act is old else (act,))] for script in scripts]


def at_random(program: Program, draw: random.Random, rank: int, *new: Act) -> list[list[Act]]:
    """With ``new`` somewhere among what a rank does."""
    scripts = program.scripts()
    place = draw.randint(0, len(scripts[rank]))
    scripts[rank][place:place] = new
    return scripts


def told(act: Act, **changed: Any) -> Act:
    return replace(act, told=act.told | changed)


# -- faults ---------------------------------------------------------------------------------------


def a_missing_message(program: Program, draw: random.Random) -> Broken | None:
    """One side of a message that the other waits for: the last of its tag, or the next would stand in."""
    sides = {(act.call, act.rank, act.told["tag"]): act for act in acts_of(program, *POSTS[:4])}
    found = list(sides.values())
    if not found:
        return None
    gone = draw.choice(found)
    return Broken(f"no {gone}", without(program.scripts(), gone), STUCK)


def a_missing_collective(program: Program, draw: random.Random) -> Broken | None:
    """A rank leaves one out: its next one meets the others' there, or none does."""
    found = acts_of(program, "meet", least=2)
    if not found:
        return None
    gone = draw.choice(found)
    return Broken(f"no {gone}", without(program.scripts(), gone), (*STUCK, lab.CollectiveMismatch))


def another_size(program: Program, draw: random.Random) -> Broken | None:
    """The receiver's tensor has another size or type than the message."""
    found = [a for a in acts_of(program, "recv", "irecv") if a.told["kind"]["layout"] != "0-d"]
    if not found:
        return None
    act = draw.choice(found)
    kind = act.told["kind"]
    other = torch.int32 if kind["dtype"] != torch.int32 else torch.int16
    changed = draw.choice(({"size": kind["size"] + 2}, {"dtype": other} if kind["size"] else {"size": 4}))
    new = told(act, kind=kind | changed)
    return Broken(f"{act} becomes {new}", instead(program.scripts(), act, new), (lab.WorkerError,), act.rank)


def another_collective(program: Program, draw: random.Random) -> Broken | None:
    """One rank calls another one, or the same with another op, source, type or size, or ``async_op``."""
    found = acts_of(program, "meet", least=2)
    if not found:
        return None
    act = draw.choice(found)
    call, kind = act.told["collective"], act.told["kind"]
    choices: list[dict[str, Any]] = [{"collective": "barrier" if call != "barrier" else "all_reduce"}]
    if call == "barrier":
        choices[0] |= {"op": "sum", "kind": kind | {"dtype": torch.float32}}
    elif call not in EXCHANGES:
        other = torch.float32 if kind["dtype"] != torch.float32 else torch.float64
        choices += [{"kind": kind | {"dtype": other}}]
    if call in ("broadcast", "all_reduce") and kind["layout"] != "0-d":
        choices += [{"kind": kind | {"size": kind["size"] + 2}}]
    if call == "broadcast":
        choices += [{"src": (act.told["src"] + 1) % len(act.told["ranks"])}]
    if call in ("all_reduce", "reduce_scatter"):
        choices += (
            [{"op": "max" if act.told["op"] != "max" else "min"}] if not kind["dtype"].is_complex else []
        )
    new = told(act, **draw.choice(choices))
    fault = f"{act} becomes {new}"
    return Broken(fault, instead(program.scripts(), act, new), (lab.CollectiveMismatch,))


def a_circle(program: Program, draw: random.Random) -> Broken | None:
    """Some ranks in a ring: each does first what its neighbour must answer."""
    if program.nodes < 2:
        return None
    ring = draw.sample(range(program.nodes), draw.randint(2, program.nodes))
    first = draw.choice(("send", "recv"))
    scripts, at = program.scripts(), draw.random() * 1.5
    kind = {"dtype": torch.float32, "size": draw.choice((0, 1, 150_000)), "layout": "flat"}
    whole = {"ranks": tuple(range(program.nodes)), "outer": None, "tag": 99_999, "kind": kind, "holds": 1}
    for k, rank in enumerate(ring):
        after, before = ring[(k + 1) % len(ring)], ring[k - 1]
        out = Act(at, rank, "send", whole | {"name": "ring", "peer": after})
        into = Act(at, rank, "recv", whole | {"name": "ring", "peer": before})
        scripts[rank] = sorted(
            [*scripts[rank], *((out, into) if first == "send" else (into, out))], key=by_time
        )
    return Broken(f"a ring {ring} of {first}s at {at:.3f}", scripts, STUCK)


def by_time(act: Act) -> float:
    return act.at


def two_groups_crossed(program: Program, draw: random.Random) -> Broken | None:
    """Two ranks enter two groups' collectives in different orders."""
    if program.nodes < 2:
        return None
    one, other = draw.sample(range(program.nodes), 2)
    scripts, at = program.scripts(), draw.random() * 1.5
    kind = {"dtype": torch.float32, "size": draw.choice((1, 3_000)), "layout": "flat"}
    usual = {"outer": None, "collective": "all_reduce", "kind": kind, "op": "sum", "src": 0, "chunks": None}
    usual |= {"number": 9_999, "beside": False, "computing": False, "name": "crossed"}
    for rank, groups in ((one, ((one, other), (other, one))), (other, ((other, one), (one, other)))):
        new = [Act(at, rank, "meet", usual | {"ranks": ranks}) for ranks in groups]
        scripts[rank] = sorted([*scripts[rank], *new], key=by_time)
    return Broken(f"ranks {one} and {other} cross two groups at {at:.3f}", scripts, STUCK)


def an_early_return(program: Program, draw: random.Random) -> Broken | None:
    """A rank returns while others still count on it."""
    found = acts_of(program, *POSTS, least=2)
    if not found:
        return None
    act = draw.choice(found)
    scripts = program.scripts()
    scripts[act.rank] = scripts[act.rank][: scripts[act.rank].index(act)]
    return Broken(f"rank {act.rank} returns at {act.at:.4f}", scripts, STUCK)


def a_raise(program: Program, draw: random.Random) -> Broken | None:
    """A rank raises."""
    rank = draw.randrange(program.nodes)
    scripts = at_random(program, draw, rank, Act(0, rank, "fail", {}))
    return Broken("a rank raises", scripts, (lab.WorkerError,), rank)


def a_death(program: Program, draw: random.Random) -> Broken | None:
    """A rank's process is killed."""
    rank, share = draw.randrange(program.nodes), draw.random()
    scripts = program.scripts()
    scripts[rank].insert(int(share * len(scripts[rank])), Act(0, rank, "die", {}))
    return Broken("a rank dies", scripts, (lab.WorkerError,), rank, (rank, share))


def a_bad_argument(program: Program, draw: random.Random) -> Broken | None:
    """A rank, a tag, an op or a source that is none."""
    found = acts_of(program, "send", "isend", "recv", "irecv", "meet")
    if not found:
        return None
    act = draw.choice(found)
    n = len(act.told["ranks"])
    if act.call == "meet":
        changed = {"collective": "broadcast", "src": draw.choice((-1, n, 0.5))}
    else:
        me = act.told["ranks"].index(act.rank)
        changed = draw.choice(({"peer": n}, {"peer": -1}, {"peer": me}, {"tag": -1}, {"tag": 2**31}))
    new = told(act, **changed)
    return Broken(f"{act} becomes {new}", instead(program.scripts(), act, new), (lab.WorkerError,), act.rank)


def a_write_before_the_wait(program: Program, draw: random.Random) -> Broken | None:
    """What a message or a collective uses is written to while it is under way."""
    sends = [act for act in acts_of(program, "isend") if act.told["kind"]["dtype"].is_floating_point]
    posted = {(act.rank, act.told["name"]) for act in sends if act.told["kind"]["size"]}
    posted -= {(act.rank, act.told["name"]) for act in acts_of(program, "look")}  # which may find it received
    found = [act for act in acts_of(program, "sent") if (act.rank, act.told["name"]) in posted]
    if not found:
        return None
    act = draw.choice(found)
    torn = Act(act.at, act.rank, "tear", {"name": act.told["name"]})
    scripts = instead(program.scripts(), act, torn, act)
    return Broken(f"written before {act}", scripts, (lab.WorkerError,), act.rank)


Fault = Callable[[Program, random.Random], Broken | None]
FAULTS: tuple[Fault, ...] = (
    a_missing_message, a_missing_collective, another_size, another_collective, a_circle, two_groups_crossed,
    an_early_return, a_raise, a_death, a_bad_argument, a_write_before_the_wait,
)  # fmt: skip
