"""Who waits forever."""

from collections import deque

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_08 as exercise


def who_counts(programs):
    """Looks at numbers of calls only, not at their order."""
    found = set()
    for node, calls in enumerate(programs):
        for kind, peer in calls:
            other = ("recv" if kind == "send" else "send", node)
            if calls.count((kind, peer)) != programs[peer].count(other):
                found.add(node)
    return sorted(found)


def who_looks_once(programs):
    """Looks at first calls only."""
    found = []
    for node, calls in enumerate(programs):
        if calls:
            kind, peer = calls[0]
            other = ("recv" if kind == "send" else "send", node)
            if programs[peer][:1] != [other]:
                found.append(node)
    return found


def matched(programs, place, node):
    """Whether the call at which ``node`` stands has its counterpart at its peer's place."""
    if place[node] == len(programs[node]):
        return False
    kind, peer = programs[node][place[node]]
    other = ("recv" if kind == "send" else "send", node)
    return programs[peer][place[peer] : place[peer] + 1] == [other]


def one_sweep(programs):
    place = [0] * len(programs)
    for node in range(len(programs)):
        while matched(programs, place, node):
            place[programs[node][place[node]][1]] += 1
            place[node] += 1
    return [node for node, calls in enumerate(programs) if place[node] < len(calls)]


def one_step_each(programs):
    place = [0] * len(programs)
    for node in range(len(programs)):
        if matched(programs, place, node):
            place[programs[node][place[node]][1]] += 1
            place[node] += 1
    return [node for node, calls in enumerate(programs) if place[node] < len(calls)]


def as_many_sweeps_as_nodes(programs):
    place = [0] * len(programs)
    for _ in programs:
        for node in range(len(programs)):
            if matched(programs, place, node):
                place[programs[node][place[node]][1]] += 1
                place[node] += 1
    return [node for node, calls in enumerate(programs) if place[node] < len(calls)]


def in_full_sweeps(programs, orders):
    place = [0] * len(programs)
    for order in orders:
        for node in order:
            while matched(programs, place, node):
                place[programs[node][place[node]][1]] += 1
                place[node] += 1
    return [node for node, calls in enumerate(programs) if place[node] < len(calls)]


def there_and_back(programs):
    nodes = range(len(programs))
    return in_full_sweeps(programs, [nodes, nodes[::-1]])


def as_many_full_sweeps_as_nodes(programs):
    return in_full_sweeps(programs, [range(len(programs))] * len(programs))


def until_nobody_moves(programs):
    place = [0] * len(programs)
    while movers := [node for node in range(len(programs)) if matched(programs, place, node)]:
        place[programs[movers[0]][place[movers[0]]][1]] += 1
        place[movers[0]] += 1
    return {node for node, calls in enumerate(programs) if place[node] < len(calls)}


def with_a_queue(programs):
    left, queue = [deque(calls) for calls in programs], deque(range(len(programs)))
    while queue:
        node = queue.popleft()
        if left[node]:
            kind, peer = left[node][0]
            if left[peer] and left[peer][0] == ({"send": "recv", "recv": "send"}[kind], node):
                left[node].popleft()
                left[peer].popleft()
                queue += [node, peer]
    return np.flatnonzero([len(calls) for calls in left])


def by_recursion(programs):
    for node, calls in enumerate(programs):
        if calls and calls[0][0] == "send" and programs[calls[0][1]][:1] == [("recv", node)]:
            return by_recursion([c[1:] if n in (node, calls[0][1]) else c for n, c in enumerate(programs)])
    return [node for node, calls in enumerate(programs) if calls]


test_any_style_passes = passes(exercise.deadlock, until_nobody_moves, with_a_queue, by_recursion)

test_a_mistake_is_named = refused(
    exercise.deadlock,
    (who_counts, "waits forever, and you leave it out"),
    (who_looks_once, "waits forever, and you leave it out"),
    (lambda programs: [n for n, calls in enumerate(programs) if calls], "does get to its end"),
    (lambda programs: bool(programs), "is a bool: a list was asked"),
    (lambda programs: len(programs), "is a int: a list was asked"),
    (one_sweep, "one sweep over the nodes isn't enough"),
    (one_step_each, "one sweep over the nodes isn't enough"),
    (as_many_sweeps_as_nodes, "does get to its end"),
    (there_and_back, "nor any number of them told beforehand"),
    (as_many_full_sweeps_as_nodes, "nor any number of them told beforehand"),
)
