"""Programs by chance: the valid ones give the same in every engine, the broken ones end with words in each.

A failure tells its seed, and ``DDL_LAB_FUZZ_SEED=<seed> python -m pytest tests/engines/test_fuzz.py`` begins
with it. Here they begin with 0 and take some seconds; ``make fuzz`` begins anywhere and takes minutes.
"""

import os
import random
import re
import secrets
import time
import warnings
from functools import partial

import pytest
from breaking import broken
from carried import same
from faulty import FUZZ, nothing_stays_behind
from playing import play
from programs import Program, drawn

import ddl_lab as lab

assert nothing_stays_behind  # a fixture
BUDGET_S = 240 if FUZZ else 8
FIRST = int(os.environ.get("DDL_LAB_FUZZ_SEED") or (secrets.randbits(24) if FUZZ else 0))
RUN = partial(lab.run, progress=False, timeout_s=120)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}


def seeds():
    """From ``FIRST`` on, as many as the time lets."""
    end, seed = time.monotonic() + BUDGET_S, FIRST
    while seed == FIRST or time.monotonic() < end:
        yield seed
        seed += 1


def clusters(seed, nodes):
    """A cluster by chance: what things cost must change no number."""
    draw = random.Random(f"{seed} costs")
    return lab.Cluster(
        speeds=[10.0 ** draw.uniform(1, 5) for _ in range(nodes)],
        latency_s=draw.choice((0, 1e-5, 1e-2)),
        bandwidth_bytes_per_s=10.0 ** draw.uniform(6, 11),
        jitter=draw.choice(("constant", "lognormal")),
        algorithm=draw.choice(("ring", "auto", "tree")),
        seed=seed,
    )


def disagreement(program: Program) -> str:
    """What differs between the engines, or goes wrong in one; "" where nothing does."""
    scripts, nodes = program.scripts(), program.nodes
    first = lab.simulate(play, nodes, args=(scripts,))
    others = {"a described cluster": partial(lab.simulate, cluster=clusters(program.seed, nodes))}
    for name, engine in (others | ENGINES).items():
        try:
            history = engine(play, nodes, args=(scripts, name != "gloo"))
        except lab.LabError as error:
            return f"{name}: {type(error).__name__}: {error}"
        if what := difference(first, history, name):
            return f"{name}: {what}"
    return ""


def difference(one, other, name):
    for rank, (seen, also) in enumerate(zip(one.results, other.results, strict=True)):
        for (what, value), (what_also, value_also) in zip(seen, also, strict=True):
            if what != what_also or not same(value, value_also, exact=name != "gloo"):
                return f"rank {rank} got {what} = {value}, and {what_also} = {value_also}"
    columns = ["rank", "step", *(["value"] if "value" in one.metrics else [])]
    if not one.metrics[columns].equals(other.metrics[columns]):
        return "other metrics"
    if name != "a described cluster":  # which may choose its algorithms
        counts = [(h.bytes_sent, h.messages_sent) for h in (one, other)]
        return f"it counts {counts[1]}, simulate {counts[0]}" if counts[0] != counts[1] else ""
    return ""


def shortest(program: Program, fails):
    """``program`` with as few moves as still fail; within a minute."""
    end = time.monotonic() + 60
    for move in list(program.moves):
        fewer = Program(program.seed, program.nodes, [m for m in program.moves if m is not move])
        if time.monotonic() < end and fails(fewer):
            program = fewer
    return program


def test_valid_programs_give_the_same_in_every_engine():
    done = 0
    for seed in seeds():
        program = drawn(seed)
        if said := disagreement(program):
            short = shortest(program, disagreement)
            pytest.fail(f"seed {seed}: {disagreement(short) or said}\nof the program\n{short}")
        done += 1
    print(f"{done} valid programs, from seed {FIRST}")


def ending(fault, name):
    """How a broken program ends in an engine; "" where it must end so."""
    scripts, options = fault.scripts, {}
    if fault.dies and name == "simulate":
        rank, share = fault.dies
        scripts = [[act for act in script if act.call != "die"] for script in scripts]
        at_s = share * lab.simulate(play, len(scripts), args=(scripts,)).finished_s[rank]
        if not at_s:
            return ""
        options["cluster"] = lab.Cluster(fails={rank: at_s})
    try:
        ENGINES[name](play, len(scripts), args=(scripts, name != "gloo"), **options)
    except lab.LabError as error:
        right = isinstance(error, fault.errors) and re.search(r"\branks? \d", str(error))
        right = right and "AssertionError" not in str(error) and error.history is not None
        right = right and fault.rank in (None, getattr(error, "rank", None))
        return "" if right else f"{name}: {type(error).__name__}: {error}"
    return f"{name}: no error"


def test_broken_programs_end_with_an_error_that_names_ranks_in_every_engine():
    done = {}
    for seed in seeds():
        fault = broken(drawn(seed), random.Random(f"{seed} breaks"))
        if fault is None:
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "rank .* never waited for its")
            for name in ENGINES:
                if said := ending(fault, name):
                    pytest.fail(f"seed {seed}: {said}\nof the program with {fault}")
        done[fault.kind] = done.get(fault.kind, 0) + 1
    print(f"{sum(done.values())} broken programs, from seed {FIRST}: {done}")
