"""Young's interval for n nodes."""

from __future__ import annotations

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number


def _interval_s(save_s, node_mtbf_s, nodes):  # type: ignore[no-untyped-def]
    return (2 * save_s * node_mtbf_s / nodes) ** 0.5


def _check_interval(answer: Answer) -> str:
    for save_s, mtbf_s, nodes in ((5.0, 1000.0, 1), (2.0, 400.0, 4), (60.0, 1.6e8, 16_384), (0.7, 3e5, 13)):
        right, one = _interval_s(save_s, mtbf_s, nodes), _interval_s(save_s, mtbf_s, 1)
        check_number(
            call(answer, save_s, mtbf_s, nodes), right,
            f"{save_s:g} s a save, {mtbf_s:g} s between failures of a node, n = {nodes}: your interval",
            ("that is one node's: of n nodes one fails n times as often", one),
            ("more nodes fail more often, not more rarely: divide by n", one * nodes**0.5),
            ("n belongs under the root: it divides the time between failures", one / nodes),
            ("a factor 2 is missing under the root", right / 2**0.5),
            ("that is its square: take the root", right**2),
            ("2 belongs under the root", right * 2**0.5),
            ("that is Daly's short form, less a save: Young's was asked", right - save_s),
        )  # fmt: skip
    return "1 to 16,384 nodes"


interval = Exercise(
    key="14.interval",
    title="How often n nodes should save",
    difficulty=1,
    minutes=4,
    reference=_interval_s,
    check=_check_interval,
    hints=(
        "First: how long until the first of n nodes fails, in the mean?",
        "node_mtbf_s / nodes. Young's interval has this M in it.",
        "The root of 2 · save_s · M.",
    ),
)
