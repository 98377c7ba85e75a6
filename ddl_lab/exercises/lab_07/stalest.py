"""As stale as a bound allows."""

from __future__ import annotations

from ..helpers import Answer, Wrong, close
from ..machine import Exercise


def _most_stale(workers, bound):  # type: ignore[no-untyped-def]
    # another worker begins as far behind as this one was allowed to be ahead, and ends one past the bound
    return (2 * bound + 1) * (workers - 1)


_MISTAKES = {
    "a worker that is just s ahead may begin one more, and end s + 1 ahead": lambda w, s: 2 * s * (w - 1),
    "the others may be up to s behind when this worker begins: they have that to catch up, too":
        lambda w, s: (s + 1) * (w - 1),
    "that is how far one other may be ahead; it may have begun s behind": lambda w, s: s * (w - 1),
    "a worker's own gradient makes it no staler: w − 1 others count": lambda w, s: (2 * s + 1) * w,
    "that is one other worker's share, and there are w − 1": lambda w, s: 2 * s + 1,
    "that is the mean without a bound; the most with one was asked": lambda w, s: w - 1,
    "clocks stay s apart at a start, not at an end: the faster may finish one more, and only it":
        lambda w, s: 2 * (s + 1) * (w - 1),
}  # fmt: skip


def _check_stalest(answer: Answer) -> str:
    for workers, bound in ((6, 3), (3, 2), (8, 2), (5, 1), (4, 7), (1, 3), (6, 0)):
        got, asked = answer(workers, bound), _most_stale(workers, bound)
        told = f"{workers} workers, s = {bound}"
        close(got, got, f"your count for {told}")  # a number of any kind
        for words, fault in _MISTAKES.items():
            value = fault(workers, bound)
            if value != asked and float(got) == value:
                raise Wrong(f"{told}: you have {got}, and {asked} was asked: {words}")
        close(got, asked, f"your count for {told}", rtol=1e-9)
    return "1 to 8 workers at bounds from 0 to 7"


stalest = Exercise(
    key="07.stalest",
    title="As stale as it gets",
    difficulty=2,
    minutes=8,
    reference=_most_stale,
    check=_check_stalest,
    hints=(
        "Let this worker's clock be c. It began, so it was at most s ahead of the slowest: where may another "
        "one be at the least?",
        "Another may begin one while it is at most s ahead of the slowest, and this worker stays at c.",
        "From c − s to c + s + 1, for each of the others.",
    ),
)
