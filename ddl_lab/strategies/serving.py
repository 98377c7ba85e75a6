"""A trained network behind a server: requests of one sample each, answered in batches.

A forward pass over n samples takes ``a + b n`` seconds: ``a`` is paid once a pass, for calls and for reading
all weights, however many samples share it. So a server that takes up to m requests at a time answers
m / (a + b m) a second, where one that takes them singly answers 1 / (a + b).

The first ``servers`` ranks serve, all others ask. Client c asks server c mod servers, again and again, each
time when it has its answer (a closed loop): so a slow server is asked less often, and never drowns.

==========  ==========================================================================
message     what is in it
==========  ==========================================================================
request     a sample, float32 (784,)
answer      its logit, float32 (1,)
==========  ==========================================================================
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..counted import counted
from ..node.node import Node
from ..training.model import INPUTS

LOOKS = 10  # so many times a server looks for company while it waits for some


def serve(
    node: Node,
    model: nn.Module,
    requests: int,
    most: int = 8,
    wait_s: float = 0.0,
    forward_s: tuple[float, float] = (1e-3, 1e-4),
) -> Tensor:
    """Answer ``requests`` requests, in batches; returns their sizes, int64 (batches,).

    1. Wait for a request. 2. Wait for company: until there are ``most``, or ``wait_s`` seconds are over; what
    has arrived by then goes along. 3. One forward pass for all, a + b n seconds by ``forward_s`` = (a, b).
    4. To each its answer.
    """
    sizes: list[int] = []
    box = torch.empty(INPUTS)
    coming = node.irecv(box)
    while sum(sizes) < requests:
        asked = {coming.wait(): box}  # 1. by the rank that asks: it waits, so it asks once
        closes_s = node.now() + wait_s
        while sum(sizes) + len(asked) < requests:
            box = torch.empty(INPUTS)  # what is in the last one is asked
            coming = node.irecv(box)
            while len(asked) < most and not coming.done() and node.now() < closes_s:  # 2.
                with node.compute(seconds=wait_s / LOOKS):
                    pass
            if len(asked) == most or not coming.done():
                break
            asked[coming.wait()] = box
        sizes.append(len(asked))
        with node.compute(seconds=forward_s[0] + forward_s[1] * len(asked)), torch.no_grad():
            logits = model(torch.stack(list(asked.values())))  # 3. (n, 784) -> (n, 1)
        for client, logit in zip(asked, logits, strict=True):
            node.isend(logit, client)  # 4.
        node.record(batch=len(asked))
    return torch.tensor(sizes)


def ask(node: Node, x: Tensor, server: int, think_s: float = 0.0) -> Tensor:
    """Ask for each row of ``x`` (k, 784), one at a time; returns the logits, (k, 1).

    1. Think, ``think_s`` seconds in the mean, exponential, drawn from this rank. 2. Send. 3. Wait for the
    answer. Records ``latency_ms``, from 2 to 3.
    """
    logits = torch.empty(len(x), 1)
    thinking = torch.Generator().manual_seed(node.rank)
    for row, logit in zip(x, logits, strict=True):
        if think_s:
            with node.compute(seconds=think_s * float(torch.empty(1).exponential_(generator=thinking))):
                pass  # 1.
        asked_s = node.now()
        node.send(row, server)  # 2.
        node.recv(logit, server)  # 3.
        node.record(latency_ms=1e3 * (node.now() - asked_s))
    return logits


def serving(
    node: Node,
    model: nn.Module,
    x: Tensor,
    servers: int = 1,
    requests: int = 20,
    most: int = 8,
    wait_s: float = 0.0,
    forward_s: tuple[float, float] = (1e-3, 1e-4),
    think_s: float = 0.0,
) -> Tensor:
    """``servers`` servers and clients that ask ``requests`` times each, client c for x[c k : (c + 1) k].

    ``x``: (n, 784), read from the start again where it ends. A server returns the sizes of its batches, a
    client its logits, (requests, 1). Raises ``ValueError`` where nobody would serve, or not everyone that
    serves be asked, and for batches of none.
    """
    clients = node.world_size - servers
    if servers < 1 or clients < servers:
        raise ValueError(
            f"of {counted(node.world_size, 'node')} {servers} would serve and {clients} ask: it takes a "
            "server, and as many clients as servers at least"
        )
    if most < 1 or requests < 1:
        raise ValueError(f"most={most}, requests={requests}: both take whole numbers from 1 up")
    if node.rank < servers:
        mine = len(range(node.rank, clients, servers))
        return serve(node, model, mine * requests, most, wait_s, forward_s)
    client = node.rank - servers
    rows = torch.arange(client * requests, (client + 1) * requests) % len(x)
    return ask(node, x[rows], client % servers, think_s)
