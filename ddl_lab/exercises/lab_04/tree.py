"""A sum up a tree: ⌈log2 n⌉ rounds to rank 0."""

from __future__ import annotations

import math

import torch

from ...cluster.model import Cluster
from ..helpers import Answer, Wrong, on_nodes
from ..machine import Exercise
from ..traffic import check_count, check_marks, in_place


def _tree_sum(node, tensor):  # type: ignore[no-untyped-def]
    box, distance = torch.empty_like(tensor), 1
    while distance < node.world_size:
        if node.rank % (2 * distance) == distance:
            node.send(tensor, node.rank - distance)  # handed on: this rank is done
            return
        if node.rank + distance < node.world_size:
            node.recv(box, node.rank + distance)
            tensor += box
        distance *= 2


ROUNDS = Cluster(latency_s=0.0, bandwidth_bytes_per_s=1.0)  # a byte a second: time counts rounds


def _check_tree(answer: Answer) -> str:
    for nodes in (1, 2, 4, 8, 3, 6, 7):
        history = on_nodes(in_place, nodes, answer, cluster=ROUNDS)
        check_marks(0, history.results[0], nodes)
        for rank in range(1, nodes):
            check_count(history, "messages", rank, 1, {0: "its tensor must get to rank 0 somehow"})
        spans = history.spans
        came = int(((spans["rank"] == 0) & (spans["kind"] == "recv")).sum())
        rounds = math.ceil(math.log2(nodes))
        if came > rounds:
            raise Wrong(
                f"the sum is right, but of {nodes} nodes rank 0 receives {came} messages where {rounds} do: "
                "in a tree, ranks in between add up before they send on"
            )
        took = round(history.elapsed_s / (4 * nodes))  # a message of n floats takes one round
        if took > rounds:
            chain = ": a chain, in which each rank waits for the one behind it" if took == nodes - 1 else ""
            raise Wrong(
                f"the sum is right, but of {nodes} nodes it takes {took} rounds one after another where "
                f"{rounds} do{chain}. In one round pairs that have nothing to do with each other send at once"
            )
    return "the sum on 1 to 8 nodes in ⌈log2 n⌉ rounds, one message from each rank but 0"


tree = Exercise(
    key="04.tree",
    title="A sum up a tree",
    difficulty=1,
    minutes=8,
    reference=_tree_sum,
    check=_check_tree,
    hints=(
        "The tree broadcast, backwards: the last round comes first, and every arrow is turned round.",
        "At distance 1 the odd ranks send to their left neighbour and are done; the even ones add.",
        "At `distance`, rank r sends to r − distance where `r % (2 * distance) == distance`, and returns.",
        "All others receive from r + distance, if there is one: of 6 nodes rank 4 has no partner at 2.",
    ),
)
