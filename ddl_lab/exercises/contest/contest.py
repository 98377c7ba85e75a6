"""``lab.contest``: an awful cluster, a target, a worker's score, and the board of one's own tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...history.history import History
from ...node.node import Node
from ...ranges import check_whole
from ...tables import html_table
from . import board, referee
from .score import PRICE_PER_HOUR, Score
from .task import MTBF_S, NODES, RESTART_S, SPEED, TARGET, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def contest(seed: int, *, failures: bool = False) -> Contest:
    """A race to 93 % on an awful cluster: in the fewest seconds, or for the least money.

    12 nodes on 3 hosts, of 2,000 samples/s each: rank 5 is ten times slower, rank 10 stalls, 2 ms and
    20 MB/s lie between the hosts. A worker trains ``lab.make_model(seed)`` by ``task.gradient``, the only way
    to the training data, and returns it once ``task.passed``. ``task.score(worker)`` tells what that took.
    The digits' pixels are permuted, as drawn from ``seed`` when an entry is scored.

    ``failures``: nodes die, each after 3 s in the mean; an entry is run again by ``lab.keep_going`` 0.5 s
    later, from what it has saved by ``task.save``.

    It is fair among honest people and not tamper-proof: a worker is Python, and who means to cheat can. What
    honest people may do by mistake is refused or charged: networks and data that were captured, autograd
    beside the task, and processor time beyond what a step needs. Raises ``TypeError`` and ``ValueError``.
    """
    check_whole("contest", "seed", seed, 0, 32)
    if not isinstance(failures, bool):
        raise TypeError(f"contest: failures must be True or False, got {failures!r:.40}")
    return Contest(seed, failures)


class Contest(Task):
    """A task to practise and to score: made by ``lab.contest(seed)``.

    ``nodes``, ``hosts``, ``target``, ``cluster`` and ``price_per_hour`` (dollars a node, made up) say what.
    """

    price_per_hour = PRICE_PER_HOUR

    def practice(self, worker: Callable[[Node], Any], nodes: int = NODES) -> History:
        """Run ``worker`` on the virtual clock with other pixels than those of scoring; returns the History.

        With ``failures`` as ``lab.keep_going`` does. Raises what ``lab.simulate`` raises.
        """
        return referee.practised(self, worker, nodes)

    def score(
        self,
        worker: Callable[[Node], Any],
        nodes: int = NODES,
        *,
        name: str | None = None,
        confirm: bool = True,
    ) -> Score:
        """What ``worker`` takes on the first ``nodes`` nodes of the cluster, 1 to 12; a few seconds.

        Scored is what its source says, which is kept with the score: it uses the course, torch, functions of
        its own, and plain numbers or strings that it captures, nothing else. Each node returns its model, or
        None; that of the lowest rank counts. Seconds run until the last node has returned, node-seconds for
        each node until it has.

        Both are deterministic, but for processor time of the worker's own code beyond what a step needs. A
        gradient, a receive and a collective leave time in which this machine could compute 250 samples, some
        20 steps of SGD, so an honest entry is charged nothing and its score is the same anywhere.
        What goes beyond is charged as the samples that it is worth (``Score.charged_s``).

        ``confirm``: an entry that reaches the target runs again in real processes, and its model must be the
        same to the bit; where it isn't, the entry is asynchronous, and confirmed by the held-out digits that
        it gets right there and over four seeds. With ``failures`` the score is the mean of four draws of
        them, of which all must arrive. ``name``: on the board; the worker's, unless told.

        Raises ``LabError`` for what an entry may not do, and what ``lab.simulate`` raises.
        """
        score = referee.scored(self, worker, nodes, name, confirm)
        board.note(score)
        return score

    def board(self) -> Figure | None:
        """Draw this contest's tries: seconds against money, a dot a try; None, and words, without any."""
        return board.drawn(self.seed, self.failures)

    def __repr__(self) -> str:
        told = ", failures=True" if self.failures else ""
        return f"lab.contest(seed={self.seed}{told})"

    def _repr_html_(self) -> str:
        return html_table(f"A contest: {self!r}", self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("target", f"{TARGET:.0%} of 500 test digits, odd or even; their pixels are permuted"),
            (
                "cluster",
                f"{NODES} nodes of {SPEED:,.0f} samples/s on {self.hosts} hosts; between hosts 2 ms, 20 MB/s",
            ),
            ("and in it", "rank 5 is 10 times slower; rank 10 stalls 0.5 s in every 20th compute span"),
            ("price", f"{PRICE_PER_HOUR:g} dollars an hour and node, until the node returns"),
        ]
        died = f"each node dies after {MTBF_S:g} s in the mean; {RESTART_S:g} s later all start again"
        return [*rows, ("failures", died)] if self.failures else rows
