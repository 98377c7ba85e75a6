"""The task of a contest: an awful cluster, a target, and the only way to the training data."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ...cluster.model import Cluster
from ...node.node import Node
from .digits import CHECKED, accuracy_of, batch_of, flat_of, gradient_of, tested
from .fair import Watch
from .saving import Checkpoints

NODES, HOST_SIZE = 12, 4
SPEED = 2_000.0  # samples a second
TARGET = 0.93
SMALLEST_CHARGE = 16  # samples: a smaller batch takes a chip as long
CHECK_CHARGE = round(CHECKED / 3)  # samples: a forward pass is a third of a gradient's work
MOST_S = 200.0  # on a node's clock
MTBF_S, RESTART_S = 3.0, 0.5
SLOW, STALLS = {5: 10.0}, {10: (20, 0.5)}


class Task:
    """What a worker has of a contest: gradients, whether the target is reached, and checkpoints."""

    nodes, hosts, target = NODES, NODES // HOST_SIZE, TARGET

    def __init__(
        self, seed: int, failures: bool = False, *, scored: bool = False, folder: str | None = None
    ) -> None:
        self.seed, self.failures = seed, failures
        self._scored = scored  # another permutation of pixels than in practice
        self._saved = Checkpoints(folder)
        self._watch: Watch | None = None  # of a node whose worker is scored
        self._batches = 0  # drawn so far by this node

    @property
    def cluster(self) -> Cluster:
        """What the nodes and links cost."""
        return Cluster(
            speeds=SPEED,
            host_size=HOST_SIZE,
            latency_s=2e-3,
            bandwidth_bytes_per_s=20e6,
            slow=SLOW,
            stalls=STALLS,
            mtbf_s=MTBF_S if self.failures else None,
            seed=self.seed,
        )

    def gradient(self, node: Node, model: Any, batch: int = 16) -> torch.Tensor:
        """The gradient on ``batch`` training digits, float32 (P,), laid out as ``lab.parameters``.

        The digits, 1 to 4,000 of them, are drawn from (seed, rank, how many batches before). A compute span
        on the node's clock: batch / speed, and as long for less than 16. ``model``: ``lab.make_model(seed)``
        or its parameters (P,). Raises ``ValueError``; ``TimeoutError`` after 200 s on the node's clock.
        """
        rank = _rank(node, "task.gradient")
        if type(batch) is not int or not 1 <= batch <= 4000:
            raise ValueError(f"task.gradient: batch={batch!r}: it takes a whole number from 1 to 4000.")
        flat = flat_of(model, "task.gradient")
        with self._aside():
            x, y = batch_of(self.seed, self._scored, rank, self._batches, batch)
            self._batches += 1
            with node.compute(samples=max(batch, SMALLEST_CHARGE)):
                found = gradient_of(flat, x, y)
        if self._watch is not None:
            self._watch.steps += 1
        return found

    def passed(self, node: Node, model: Any) -> bool:
        """Whether ``model`` gets 93 % of 500 test digits right; a compute span of 167 samples.

        The other 500 are held out: nobody sees them before an entry is scored. Raises as ``gradient`` does.
        """
        _rank(node, "task.passed")
        flat = flat_of(model, "task.passed")
        with self._aside(), node.compute(samples=CHECK_CHARGE):
            return self.accuracy(flat, held_out=False) >= TARGET

    def save(self, node: Node, **state: Any) -> None:
        """Keep ``state`` for ``restore``: tensors, numbers, text and lists of those; whole or not at all.

        Each rank has one checkpoint, on a disk that all hosts see; writing takes its bytes / 200 MB/s on the
        node's clock. Raises ``ValueError`` for what can't be saved, ``RuntimeError`` outside of
        ``task.score`` and ``task.practice``.
        """
        rank = _rank(node, "task.save")
        with self._aside():
            self._saved.save(node, rank, {"state": state, "batches": self._batches})

    def restore(self, node: Node, rank: int | None = None) -> dict[str, Any] | None:
        """What this rank, or another ``rank`` of the run, saved last; None where there is nothing.

        The place among the training batches comes back with it. Takes as long as saving. Raises
        ``ValueError`` for a rank that the run has not.
        """
        own = _rank(node, "task.restore")
        if rank is not None and (type(rank) is not int or not 0 <= rank < NODES):
            raise ValueError(f"task.restore: rank={rank!r}: it takes 0 to {NODES - 1}, or None for its own.")
        with self._aside():
            found = self._saved.restore(node, own if rank is None else rank)
        if found is None:
            return None
        self._batches = found["batches"]
        state: dict[str, Any] = found["state"]
        return state

    def accuracy(self, flat: torch.Tensor, held_out: bool) -> float:
        return accuracy_of(flat, *tested(self.seed, self._scored, held_out))

    def _aside(self) -> AbstractContextManager[None]:
        return self._watch.aside() if self._watch is not None else nullcontext()


def _rank(node: Any, call: str) -> int:
    """The run's rank of ``node``; raises ``ValueError`` for what is no node, ``TimeoutError`` after 200 s."""
    if not isinstance(node, Node):
        raise ValueError(f"{call}: the first argument is the worker's node, got {node!r:.60}.")
    rank = node._port.rank
    if node.now() > MOST_S:
        raise TimeoutError(f"an entry has {MOST_S:g} s, and rank {rank} is at {node.now():.4g} s.")
    return rank
