"""What ranks tell each other where each knows only its own parts: their sizes, and what it costs then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..cluster.work import Work, all_to_all_work
from ..counted import counted
from ..errors import LabError, mismatch_error

_ADVICE = "  What one rank gives must have as many elements as the other has room for."


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one rank knows: elements that it gives, and those that it takes, by rank of the group."""

    gives: Mapping[int, int]
    takes: Mapping[int, int]

    def parts(self, given: Tensor) -> dict[int, Tensor]:
        """``given`` cut into what each rank is given."""
        pieces = given.split(list(self.gives.values())) if self.gives else ()
        return dict(zip(self.gives, pieces, strict=True))

    def text(self) -> str:
        """As it travels: "0:3,1:4;2:5"."""
        return ";".join(
            ",".join(f"{rank}:{count}" for rank, count in side.items()) for side in (self.gives, self.takes)
        )

    @classmethod
    def of(cls, text: str) -> Sizes:
        """What ``text()`` gave."""
        sides = ([pair.split(":") for pair in side.split(",") if pair] for side in text.split(";"))
        return cls(*({int(rank): int(count) for rank, count in side} for side in sides))


def differing(told: Sequence[Sizes]) -> tuple[int, int] | None:
    """The first ranks of the group, giver and taker, that differ in the size of a part; None: all agree."""
    for taker, sizes in enumerate(told):
        for giver, count in sizes.takes.items():
            if told[giver].gives[taker] != count:
                return giver, taker
    return None


def sizes_error(ranks: Sequence[int], told: Sequence[Sizes], call: str, nth: int) -> LabError | None:
    """The mismatch of ``ranks`` of the run, the ``nth`` collective of each, if their parts differ in size."""
    if (pair := differing(told)) is None:
        return None
    giver, taker = pair
    given, room = told[giver].gives[taker], told[taker].takes[giver]
    calls = {
        ranks[giver]: f"{call} gives rank {ranks[taker]} {counted(given, 'element')}",
        ranks[taker]: f"{call} has room for {room} from rank {ranks[giver]}",
    }
    return mismatch_error(calls, nth=nth, advice=_ADVICE)


def cost_of(name: str, told: Sequence[Sizes], root: int, element_size: int) -> Work:
    """What the collective costs, once all ranks of the group have told their sizes."""
    if name == "all_to_all":
        rows = (tuple(element_size * count for count in sizes.gives.values()) for sizes in told)
        return all_to_all_work(tuple(rows))
    if name == "gather":
        return Work(name, tuple(element_size * sizes.gives[root] for sizes in told), root)
    return Work(name, tuple(element_size * count for count in told[root].gives.values()), root)
