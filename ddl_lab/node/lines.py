"""Messages and receives that wait for each other: by source, in order, each found and taken in the same time.

However many wait: a node may post a hundred thousand.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Key = tuple[int, int]  # a group's key and a tag
T = TypeVar("T")


class Receives(Generic[T]):
    """Posted receives, not yet served; source None takes from any."""

    def __init__(self) -> None:
        self.count = 0
        self._posted = 0
        self._lines: dict[tuple[Key, int | None], deque[tuple[int, T]]] = {}

    def add(self, key: Key, src: int | None, receive: T) -> None:
        """Post ``receive``."""
        self.count += 1
        self._posted += 1
        self._lines.setdefault((key, src), deque()).append((self._posted, receive))

    def take(self, key: Key, src: int) -> T | None:
        """Take the one that was posted first of those for messages of ``src``."""
        own, any_ = self._lines.get((key, src)), self._lines.get((key, None))
        if own is None and any_ is None:
            return None
        source = src if any_ is None or (own is not None and own[0] < any_[0]) else None
        line = self._lines[key, source]
        _, receive = line.popleft()
        if not line:
            del self._lines[key, source]
        self.count -= 1
        return receive

    def sole(self, key: Key, src: int) -> bool:
        """Whether the next message of ``src`` is sure to be taken by one that is posted for ``src`` alone."""
        return len(self._lines.get((key, src), ())) == 1 and (key, None) not in self._lines

    def clear(self) -> None:
        """Let all go."""
        self.count = 0
        self._lines.clear()


class Arrivals(Generic[T]):
    """Messages that are here, not yet taken, by arrival."""

    def __init__(self) -> None:
        self._arrived = 0
        self._lines: dict[tuple[Key, int], deque[tuple[int, T]]] = {}
        self._sources: dict[Key, OrderedDict[int, int]] = {}  # of all of a key, in order

    def __bool__(self) -> bool:
        return bool(self._sources)

    def add(self, key: Key, src: int, message: T) -> None:
        """``message`` of ``src`` is here."""
        self._arrived += 1
        self._lines.setdefault((key, src), deque()).append((self._arrived, message))
        self._sources.setdefault(key, OrderedDict())[self._arrived] = src

    def take(self, key: Key, src: int | None) -> T | None:
        """Take the first of ``src``, or of any."""
        order = self._sources.get(key)
        if src is None and order:
            src = next(iter(order.values()))
        line = self._lines.get((key, src)) if src is not None else None
        if line is None or order is None or src is None:
            return None
        place, message = line.popleft()
        del order[place]
        if not line:
            del self._lines[key, src]
        if not order:
            del self._sources[key]
        return message

    def clear(self) -> None:
        """Let all go."""
        self._lines.clear()
        self._sources.clear()
