"""What a node keeps at each stage of sharding."""

from __future__ import annotations

import math

from ...counted import counted
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import number

MIXED = (2, 2, 12)  # bytes a parameter: float16 parameters and gradients, Adam with float32 copies


CASES = ((7_500_000_000, 64, MIXED), (201_217, 4, (4, 4, 8)), (1_000, 1, (4, 4, 4)))


def _kept_bytes(parameters, nodes, stage, each):  # type: ignore[no-untyped-def]
    theta, gradient, states = each
    if stage >= 1:
        states /= nodes
    if stage >= 2:
        gradient /= nodes
    if stage >= 3:
        theta /= nodes
    return parameters * (theta + gradient + states)


def _check_memory(answer: Answer) -> str:
    for parameters, nodes, each in CASES:
        for stage in range(4):
            got = number(answer(parameters, nodes, stage, each), "the number of bytes")
            right = _kept_bytes(parameters, nodes, stage, each)
            if math.isclose(got, right, rel_tol=3e-7):  # float32 is fine, a dropped parameter isn't
                continue
            case = (
                f"stage {stage}, {parameters:,} parameters over {counted(nodes, 'node')}, {each} bytes each"
            )
            _name_memory(got, right, case, parameters, nodes, each, stage)
    return "a model of 7.5 billion parameters on 64 nodes, the article's network on 4, and a single node"


def _name_memory(
    got: float, right: float, case: str, parameters: int, nodes: int, each: tuple[int, int, int], stage: int
) -> None:
    theta, gradient, states = each
    if math.isclose(got, _kept_bytes(parameters, nodes, 3, each)):
        raise Wrong(f"{case}: you divide everything by the nodes, and that is stage 3")
    reversed_order = _kept_bytes(parameters, nodes, stage, (states, gradient, theta))
    if math.isclose(got, reversed_order):
        raise Wrong(f"{case}: the optimiser's states are sharded first, the parameters last")
    only = [(theta, gradient, states), (theta, gradient, states / nodes), (theta, gradient / nodes, states),
            (theta / nodes, gradient, states)][stage]  # fmt: skip
    if math.isclose(got, parameters * sum(only)):
        raise Wrong(f"{case}: a stage keeps what the stages before it have sharded")
    if math.isclose(got * nodes, right) or math.isclose(got, right * nodes):
        raise Wrong(f"{case}: {nodes} times off, and {nodes} is the node count: bytes of one node were asked")
    raise Wrong(f"{case}: {got:,.12g} bytes, and a node keeps {right:,.12g}")


memory = Exercise(
    key="09.memory",
    title="What a node keeps",
    difficulty=1,
    minutes=6,
    reference=_kept_bytes,
    check=_check_memory,
    hints=(
        "Stage 0 keeps P · (theta + gradient + states) bytes on every node.",
        "Stage 1 divides the states by the nodes, stage 2 the gradient as well, stage 3 the parameters too.",
    ),
)
