"""Ranks whose tensors live elsewhere than on the host: copied there and back, with the same results."""

import os
import threading

import pytest
import torch

import ddl_lab as lab
from ddl_lab.history.recorder import Recorder
from ddl_lab.node.node import Node
from ddl_lab.processes.launch import memory
from ddl_lab.processes.plan import plan
from ddl_lab.processes.transports.board import Board, Slot
from ddl_lab.processes.transports.shm import ShmEndpoint
from ddl_lab.processes.transports.staging import Staged
from ddl_lab.processes.transports.wire import Inbox

GPUS = torch.cuda.device_count()
needs_gpu = pytest.mark.skipif(not GPUS, reason="no GPU is visible on this machine")


@pytest.fixture
def staged_nodes():
    """Two nodes in threads, over real pipes and shared memory, each behind a staging port."""
    fd = memory.create(ShmEndpoint.size(2))
    pipes = [os.pipe() for _ in range(2)]
    nodes = []
    for rank in range(2):
        buffer, tensor = memory.attach(fd)
        inbox = Inbox(pipes[rank][0], [write for _, write in pipes], spin=False)
        endpoint = ShmEndpoint(rank, 2, inbox, Slot(buffer, rank), Board(buffer, 2), tensor)
        nodes.append(Node(Staged(endpoint, torch.device("cpu")), Recorder(), (0, 1)))
    yield nodes
    for end in [fd, *pipes[0], *pipes[1]]:
        os.close(end)


def together(nodes, worker):
    """Run ``worker`` on each node in a thread of its own; their results."""
    results = [None, None]

    def call(rank):
        nodes[rank]._family._thread = threading.get_ident()  # this node's worker runs here
        results[rank] = worker(nodes[rank])

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_collectives_write_back_what_the_host_copies_hold(staged_nodes):
    def worker(node):
        summed = torch.full((50_000,), node.rank + 1.0)
        node.all_reduce(summed)
        shared = torch.full((3,), float(node.rank))
        node.broadcast(shared, src=1)
        chunk = torch.empty(2)
        node.reduce_scatter(chunk, torch.arange(4.0))
        whole = torch.empty(2, 2)
        node.all_gather(whole, chunk)
        node.barrier()
        return summed[7].item(), shared.tolist(), chunk.tolist(), whole.tolist()

    for rank, result in enumerate(together(staged_nodes, worker)):
        assert result == (3.0, [1.0] * 3, [[0.0, 2.0], [4.0, 6.0]][rank], [[0.0, 2.0], [4.0, 6.0]])


def test_so_do_exchanges_and_what_gives_alone_stays(staged_nodes):
    def worker(node):
        me = float(node.rank)
        kept = torch.full((3,), me + 1)
        node.reduce(kept, 1)
        parts = [torch.empty(1), torch.empty(2)] if node.rank == 1 else None
        node.gather(torch.full((node.rank + 1,), me), parts, 1)
        swapped = torch.tensor([me, me + 10])
        handle = node.all_to_all_single(swapped, swapped.clone(), async_op=True)
        handle.wait()
        return kept.tolist(), parts and torch.cat(parts).tolist(), swapped.tolist(), node._recorder.bytes_sent

    zero, one = together(staged_nodes, worker)
    assert zero == ([1.0] * 3, None, [0.0, 1.0], 12 + 4 + 4)
    assert one == ([3.0] * 3, [0.0, 1.0, 1.0], [10.0, 11.0], 4)


def test_messages_land_when_they_are_waited_for(staged_nodes):
    def worker(node):
        box, peer = torch.zeros(300_000), 1 - node.rank
        incoming = node.irecv(box, peer)
        out = torch.full_like(box, node.rank + 1.0)
        outgoing = node.isend(out, peer)
        out.zero_()
        with pytest.raises(lab.LabError, match="written before"):
            outgoing.wait()
        incoming.wait()
        return box.min().item(), box.max().item()

    assert together(staged_nodes, worker) == [(2.0, 2.0), (1.0, 1.0)]


def test_more_ranks_than_gpus_share_them_and_it_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def asked(nodes, transport="auto"):
        return plan(lambda node: None, nodes, "cuda", transport, None, None, ())

    assert asked(2).transport == "nccl" and asked(2).note == ""
    assert asked(4).transport == "shm" and "4 ranks share 2 GPUs" in asked(4).note
    with pytest.raises(ValueError, match="needs a GPU for each rank, and there is 2 for 4 ranks"):
        asked(4, "nccl")


@pytest.mark.skipif(GPUS > 0, reason="this machine has a GPU")
def test_without_a_gpu_cuda_is_refused_in_words():
    with pytest.raises(ValueError, match="no GPU is visible here"):
        lab.run(lambda node: None, 2, device="cuda")
    with pytest.raises(ValueError, match=r"nccl.*needs a GPU for each rank"):
        lab.run(lambda node: None, 2, transport="nccl")


@needs_gpu
@pytest.mark.parametrize("ranks_per_gpu", [1, 2])
def test_training_on_gpus_equals_training_on_the_cpu(ranks_per_gpu):
    digits = lab.load_digits()

    def worker(node):
        model = lab.make_model(seed=0, device=node.device)
        for x, y in lab.batches(digits.train, node, batch_size=100):
            loss = lab.bce_with_logits(model(x.to(node.device)), y.to(node.device))
            gradient = lab.gradient(loss, model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)
        return lab.parameters(model).cpu()

    nodes = GPUS * ranks_per_gpu
    on_gpu = lab.run(worker, nodes, device="cuda", progress=False).results[0]
    on_cpu = lab.run(worker, nodes, progress=False).results[0]
    assert (on_gpu - on_cpu).norm() <= 1e-4 * on_cpu.norm()  # another order of sums in each product
