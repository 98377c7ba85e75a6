"""Reduce, gather, scatter and all_to_all by hand: values, and the costs and the traffic of their forms."""

from dataclasses import replace

import pytest
import torch

import ddl_lab as lab
from ddl_lab.cluster.collectives import Work, even_chunks, even_work, seconds, traffic
from ddl_lab.cluster.rows import Rows
from ddl_lab.cluster.work import all_to_all_work
from ddl_lab.strategies import exchanges
from ddl_lab.virtual.simulation import simulate

EXACT = lab.Cluster(latency_s=0.5, bandwidth_bytes_per_s=8.0)
COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16]


def others(node):
    return exchanges._others(node)


def chain_reduce(node, tensor, dst):
    n, place = node.world_size, (node.rank - dst) % node.world_size
    if place < n - 1:
        node.recv(box := torch.empty_like(tensor), (node.rank + 1) % n)
        tensor += box
    if place:
        node.send(tensor, (node.rank - 1) % n)


def direct_reduce(node, tensor, dst):
    if node.rank != dst:
        node.send(tensor, dst)
        return
    for src in others(node):
        node.recv(box := torch.empty_like(tensor), src)
        tensor += box


def chain_gather(node, parts, dst):
    """Every rank's own part lies in ``parts``; a message has all that lie beyond."""
    n, place = node.world_size, (node.rank - dst) % node.world_size
    beyond = [parts[(p + dst) % n] for p in range(place, n)]
    if place < n - 1:
        node.recv(box := torch.cat(beyond[1:]), (node.rank + 1) % n)
        for part, came in zip(beyond[1:], box.split([len(part) for part in beyond[1:]]), strict=True):
            part.copy_(came)
    if place:
        node.send(torch.cat(beyond), (node.rank - 1) % n)


def chain_scatter(node, parts, src):
    n, place = node.world_size, (node.rank - src) % node.world_size
    beyond = [parts[(p + src) % n] for p in range(place, n)]
    if place:
        node.recv(box := torch.cat(beyond), (node.rank - 1) % n)
        for part, came in zip(beyond, box.split([len(part) for part in beyond]), strict=True):
            part.copy_(came)
    if place < n - 1:
        node.send(torch.cat(beyond[1:]), (node.rank + 1) % n)


def reaches(place, step, n):
    return range(place, min(place + step, n))


def tree_gather(node, parts, dst):
    n, place, step = node.world_size, (node.rank - dst) % node.world_size, 1
    while step < n:
        mine = [parts[(p + dst) % n] for p in reaches(place, step, n)]
        if place & step:
            node.send(torch.cat(mine), (place - step + dst) % n)
            return
        if place + step < n:
            theirs = [parts[(p + dst) % n] for p in reaches(place + step, step, n)]
            node.recv(box := torch.cat(theirs), (place + step + dst) % n)
            for part, came in zip(theirs, box.split([len(part) for part in theirs]), strict=True):
                part.copy_(came)
        step *= 2


def tree_scatter(node, parts, src):
    n, place = node.world_size, (node.rank - src) % node.world_size
    step = (place & -place) or 1 << (n - 1).bit_length()
    if place:
        mine = [parts[(p + src) % n] for p in reaches(place, step, n)]
        node.recv(box := torch.cat(mine), (place - step + src) % n)
        for part, came in zip(mine, box.split([len(part) for part in mine]), strict=True):
            part.copy_(came)
    while step > 1:
        step //= 2
        if place + step < n:
            theirs = [parts[(p + src) % n] for p in reaches(place + step, step, n)]
            node.send(torch.cat(theirs), (place + step + src) % n)


def ring_all_to_all(node, outputs, inputs):
    """What is not for this node goes on to the next one."""
    n, rank = node.world_size, node.rank
    outputs[rank].copy_(inputs[rank])
    passing = [inputs[(rank + way) % n] for way in range(1, n)]
    for step in range(1, n):
        sending = node.isend(torch.stack(passing), (rank + 1) % n)
        node.recv(box := torch.empty(len(passing), len(inputs[0])), (rank - 1) % n)
        sending.wait()
        outputs[(rank - step) % n].copy_(box[0])
        passing = list(box[1:])


def tree_all_to_all(node, outputs, inputs):
    n = node.world_size
    whole = [torch.zeros(n * len(inputs[0])) for _ in range(n)]
    whole[node.rank] = torch.cat(list(inputs))
    tree_gather(node, whole, 0)
    square = torch.stack(whole).view(n, n, -1).transpose(0, 1)  # by receiver, by sender
    mine = [row.reshape(-1).clone() for row in square]
    tree_scatter(node, mine, 0)
    for output, came in zip(outputs, mine[node.rank].view(n, -1), strict=True):
        output.copy_(came)


def reduced(node, play, size, root):
    tensor = torch.full((size,), float(node.rank))
    play(node, tensor, root)
    return node.rank != root or (tensor == sum(range(node.world_size))).all().item()


def gathered(node, play, sizes, dst):
    parts = [torch.zeros(size) for size in sizes]
    parts[node.rank].fill_(node.rank + 1)
    if play is exchanges.direct_gather:
        play(node, parts[node.rank].clone(), parts if node.rank == dst else [], dst)
    else:
        play(node, parts, dst)
    return node.rank != dst or all((part == rank + 1).all() for rank, part in enumerate(parts))


def scattered(node, play, sizes, src):
    parts = [torch.full((size,), (rank + 1.0) * (node.rank == src)) for rank, size in enumerate(sizes)]
    if play is exchanges.direct_scatter:
        own = torch.zeros(sizes[node.rank])
        play(node, own, parts if node.rank == src else [], src)
    else:
        play(node, parts, src)
        own = parts[node.rank]
    return (own == node.rank + 1).all().item()


def exchanged(node, play, each, _):
    n = node.world_size
    inputs = [torch.full((each,), float(node.rank * 100 + dst)) for dst in range(n)]
    outputs = [torch.zeros(each) for _ in range(n)]
    play(node, outputs, inputs)
    return all((out == src * 100 + node.rank).all() for src, out in enumerate(outputs))


REDUCES = {"ring": chain_reduce, "direct": direct_reduce, "tree": exchanges.tree_reduce}
GATHERS = {"ring": chain_gather, "direct": exchanges.direct_gather, "tree": tree_gather}
SCATTERS = {"ring": chain_scatter, "direct": exchanges.direct_scatter, "tree": tree_scatter}
ROOTED = [("gather", gathered, GATHERS), ("scatter", scattered, SCATTERS)]
EXCHANGES = {
    "ring": ring_all_to_all,
    "direct": exchanges.direct_all_to_all,
    "doubling": exchanges.bruck_all_to_all,
    "tree": tree_all_to_all,
}


def check(history, algorithm, work, exact, least=0.5, most=1.0):
    n = len(work.chunks)
    assert all(history.results)
    sent = list(zip(history.bytes_sent, history.messages_sent, strict=True))
    assert sent == [traffic(algorithm, work, rank) for rank in range(n)]
    form_s = seconds(algorithm, work, EXACT.latency_s, EXACT.bandwidth_bytes_per_s)
    if exact:
        assert history.elapsed_s == form_s
    else:
        assert least * form_s <= history.elapsed_s <= most * form_s


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("algorithm", REDUCES)
def test_a_reduce_is_what_its_form_says(algorithm, n):
    for root in {0, n - 1}:
        history = simulate(reduced, n, cluster=EXACT, args=(REDUCES[algorithm], 6, root))
        check(history, algorithm, even_work("reduce", 6, n, 4, root), algorithm != "tree" or n & (n - 1) == 0)


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("algorithm", GATHERS)
@pytest.mark.parametrize(
    ("name", "played", "plays"), [("gather", gathered, GATHERS), ("scatter", scattered, SCATTERS)]
)
def test_a_gather_and_a_scatter_are_what_their_forms_say(name, played, plays, algorithm, n):
    for root in {0, n - 1}:
        history = simulate(played, n, cluster=EXACT, args=(plays[algorithm], (3,) * n, root))
        check(history, algorithm, Work(name, (12,) * n, root), algorithm != "tree" or n & (n - 1) == 0)


@pytest.mark.parametrize("algorithm", GATHERS)
@pytest.mark.parametrize(
    ("name", "played", "plays"), [("gather", gathered, GATHERS), ("scatter", scattered, SCATTERS)]
)
def test_unequal_parts_send_their_own_bytes_and_take_no_longer_than_the_form(name, played, plays, algorithm):
    for sizes in ((1, 2, 3, 4, 5, 6, 7, 20), (20, 1, 1, 1, 1), (9, 0, 4)):
        for root in (0, len(sizes) - 1):
            history = simulate(played, len(sizes), cluster=EXACT, args=(plays[algorithm], sizes, root))
            work = Work(name, tuple(4 * size for size in sizes), root)
            check(history, algorithm, work, exact=algorithm != "tree")


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("algorithm", EXCHANGES)
def test_an_all_to_all_is_what_its_form_says(algorithm, n):
    history = simulate(exchanged, n, cluster=EXACT, args=(EXCHANGES[algorithm], 3, 0))
    check(history, algorithm, even_work("all_to_all", 3 * n, n, 4), algorithm != "tree" or n & (n - 1) == 0)


# unequal rows: rank r has ``rows[r][i]`` elements for rank i


def passed(node, mine, to, came, source):
    """Send a list of tensors as one message, and receive one as long as ``came``."""
    sending = node.isend(torch.cat(mine), to)
    node.recv(box := torch.cat(came), source)
    sending.wait()
    return list(box.split([len(part) for part in came]))


def ring_of_rows(node, outputs, inputs, rows):
    n, rank = node.world_size, node.rank
    outputs[rank].copy_(inputs[rank])
    passing = [inputs[(rank + way) % n] for way in range(1, n)]
    for step in range(1, n):
        origin = (rank - step) % n
        shapes = [torch.empty(rows[origin][(origin + way) % n]) for way in range(step, n)]
        came = passed(node, passing, (rank + 1) % n, shapes, (rank - 1) % n)
        outputs[origin].copy_(came[0])
        passing = came[1:]


def bruck_of_rows(node, outputs, inputs, rows):
    n, rank, distance = node.world_size, node.rank, 1
    held = [inputs[(rank + way) % n] for way in range(n)]  # by way: what is w ranks from its goal at first
    while distance < n:
        going = [way for way in range(n) if way & distance]
        origins = [(rank - distance - way % distance) % n for way in going]
        shapes = [torch.empty(rows[o][(o + way) % n]) for o, way in zip(origins, going, strict=True)]
        mine = [held[way] for way in going]
        for way, part in zip(
            going, passed(node, mine, (rank + distance) % n, shapes, (rank - distance) % n), strict=True
        ):
            held[way] = part
        distance *= 2
    for way in range(n):
        outputs[(rank - way) % n].copy_(held[way])


def tree_of_rows(node, outputs, inputs, rows):
    n = node.world_size
    whole = [torch.zeros(sum(row)) for row in rows]
    whole[node.rank] = torch.cat(inputs)
    tree_gather(node, whole, 0)
    pieces = [list(part.split(list(row))) for part, row in zip(whole, rows, strict=True)]
    mine = [torch.cat([pieces[r][i] for r in range(n)]) for i in range(n)]
    tree_scatter(node, mine, 0)
    for output, came in zip(outputs, mine[node.rank].split([row[node.rank] for row in rows]), strict=True):
        output.copy_(came)


def two_levels_of_rows(node, outputs, inputs, rows):
    """Hosts of 2: to each place of the own host what its counterparts shall have, then to these."""
    hosts = [[r, r + 1] for r in range(0, node.world_size, 2)]
    (mine,) = [host for host in hosts if node.rank in host]
    inside, between = node.group(mine), node.group([host[node.rank % 2] for host in hosts])
    there = [torch.cat([inputs[host[p]] for host in hosts]) for p in range(2)]
    came = [torch.empty(sum(rows[r][host[inside.rank]] for host in hosts)) for r in mine]
    exchanges.direct_all_to_all(inside, came, there)
    columns = [
        part.split([rows[r][host[inside.rank]] for host in hosts]) for r, part in zip(mine, came, strict=True)
    ]
    there = [torch.cat([column[h] for column in columns]) for h in range(len(hosts))]
    came = [torch.empty(sum(rows[r][node.rank] for r in host)) for host in hosts]
    exchanges.direct_all_to_all(between, came, there)
    for host, part in zip(hosts, came, strict=True):
        for r, piece in zip(host, part.split([rows[r][node.rank] for r in host]), strict=True):
            outputs[r].copy_(piece)


def of_rows(node, play, rows):
    inputs = [torch.full((size,), float(node.rank * 100 + dst)) for dst, size in enumerate(rows[node.rank])]
    outputs = [torch.zeros(row[node.rank]) for row in rows]
    play(node, outputs, inputs, rows)
    return all((out == src * 100 + node.rank).all() for src, out in enumerate(outputs))


def bytes_of(rows):
    return all_to_all_work(tuple(tuple(4 * size for size in row) for row in rows))


PLAYED_ROWS = {
    "ring": ring_of_rows,
    "direct": lambda node, outputs, inputs, rows: exchanges.direct_all_to_all(node, outputs, inputs),
    "doubling": bruck_of_rows,
    "tree": tree_of_rows,
}
ROWS = {
    "any": lambda n: [[(7 * r + 3 * i + r * i) % 6 for i in range(n)] for r in range(n)],
    "one has most": lambda n: [[20 if r == n - 1 else 1] * n for r in range(n)],
    "one gets most": lambda n: [[20] + [1] * (n - 1) for r in range(n)],
    "one gives each its own": lambda n: [[(i + 1) * (r == 0) for i in range(n)] for r in range(n)],
}


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("algorithm", PLAYED_ROWS)
def test_unequal_rows_send_their_own_bytes_and_take_about_what_their_form_says(algorithm, kind, n):
    rows = ROWS[kind](n)
    history = simulate(of_rows, n, cluster=EXACT, args=(PLAYED_ROWS[algorithm], rows))
    exact, least = algorithm in ("ring", "direct"), 0.9 if algorithm == "doubling" else 0.5
    check(history, algorithm, bytes_of(rows), exact, least, most=1.05)


@pytest.mark.parametrize("algorithm", PLAYED_ROWS)
def test_equal_rows_cost_what_an_all_to_all_of_equal_chunks_does(algorithm):
    for n in (2, 3, 5, 8):
        equal, unequal = (
            Work("all_to_all", (12,) * n),
            Work("all_to_all", (12,) * n, rows=Rows(((12,) * n,) * n)),
        )
        assert seconds(algorithm, equal, 0.5, 8.0) == seconds(algorithm, unequal, 0.5, 8.0)
        for rank in range(n):
            assert traffic(algorithm, equal, rank) == traffic(algorithm, unequal, rank)


@pytest.mark.parametrize("n", [4, 6])
@pytest.mark.parametrize("kind", ROWS)
def test_unequal_rows_take_two_levels_about_what_their_form_says(kind, n):
    cluster = replace(
        EXACT, algorithm="two-level", host_size=2, host_latency_s=0.125, host_bandwidth_bytes_per_s=64.0
    )
    rows = ROWS[kind](n)
    history = simulate(of_rows, n, cluster=cluster, args=(two_levels_of_rows, rows))
    algorithm, form_s = cluster.priced(bytes_of(rows), range(n))
    assert all(history.results)
    sent = list(zip(history.bytes_sent, history.messages_sent, strict=True))
    assert algorithm == "two-level" and sent == [traffic(algorithm, bytes_of(rows), r) for r in range(n)]
    assert 0.6 * form_s <= history.elapsed_s <= 1.05 * form_s


@pytest.mark.parametrize("n", [3, 4, 7, 8])
def test_doubling_is_a_tree_where_there_is_a_root(n):
    for name in ("reduce", "gather", "scatter", "broadcast"):
        work = Work(name, even_chunks(24, n), n - 1)
        assert seconds("doubling", work, 0.5, 8.0) == seconds("tree", work, 0.5, 8.0)
        assert [traffic("doubling", work, r) for r in range(n)] == [
            traffic("tree", work, r) for r in range(n)
        ]


def real(node):
    told = [
        reduced(node, exchanges.tree_reduce, 1000, 1),
        gathered(node, exchanges.direct_gather, (5, 2, 9), 2),
    ]
    told.append(scattered(node, exchanges.direct_scatter, (5, 2, 9), 0))
    return all(told + [exchanged(node, EXCHANGES[way], 700, 0) for way in ("direct", "doubling")])


@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_processes_exchange_what_a_simulation_does(transport):
    history = lab.run(real, 3, transport=transport, progress=False, timeout_s=60)
    assert all(history.results)
    virtual = simulate(real, 3)
    assert history.bytes_sent == virtual.bytes_sent and history.messages_sent == virtual.messages_sent
