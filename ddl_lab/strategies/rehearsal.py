"""A step's messages and compute spans without its arithmetic: what the formulas of meshes.py are tried by.

To be simulated, or run at the pace of a cluster: tensors of zeros, of the right sizes.
"""

from __future__ import annotations

from typing import Any

import torch

from ..node.node import Node
from .hybrid import Mesh, Shape, check_shape, make_mesh
from .meshes import Job
from .schedules import by_stage, one_f_one_b, with_messages


def rehearse(node: Node, shape: Shape, job: Job) -> None:
    """A step on a mesh: 1F1B and an all-reduce along data, or FSDP where the job has shards.

    Raises ``ValueError`` where `meshes.forecast` does.
    """
    check_shape(shape, node.world_size)
    job.check(shape)
    mesh = make_mesh(node, shape)
    if job.shards > 1:
        _sharded(node, mesh, shape, job)
        return
    _pipelined(node, mesh, shape, job)
    mesh.data.all_reduce(torch.zeros(job.parameters // (shape[1] * shape[2])))


def _pipelined(node: Node, mesh: Mesh, shape: Shape, job: Job) -> None:
    activation = torch.zeros(job.rows(shape), job.width)
    steps = with_messages(by_stage(one_f_one_b, shape[1], job.micro_batches))[mesh.pipeline.rank]
    sent = []
    for step in steps:
        if step.kind == "recv":
            mesh.pipeline.recv(activation, step.peer, step.tag)
        elif step.kind == "isend":
            sent.append(mesh.pipeline.isend(activation.clone(), step.peer, step.tag))
        else:
            for _ in range(job.layers // shape[1]):
                _block(node, mesh, shape, job, activation, 1 if step.kind == "forward" else 2)
    for message in sent:
        message.wait()


def _block(node: Node, mesh: Mesh, shape: Shape, job: Job, activation: torch.Tensor, times: int) -> None:
    """One block, forward (once) or backward (twice the work), and its all-reduce along tensor."""
    with node.compute(flops=times * job.flops(shape)):
        pass
    mesh.tensor.all_reduce(activation)


def _sharded(node: Node, mesh: Mesh, shape: Shape, job: Job) -> None:
    """1. Begin to gather a block, 2. while the one before computes; 3. scatter its gradient meanwhile."""
    data, n = mesh.data, job.shards
    first = data.rank // n * n
    shard = data.group(range(first, first + n))
    replicas = data.group(range(data.rank % n, data.world_size, n))
    block = job.slice_of_block(shape)
    activation = torch.zeros(job.rows(shape), job.width)
    gradient, own_gradient = torch.zeros(block), torch.zeros(block // n)

    def gather() -> Any:
        return shard.all_gather(torch.empty(block), torch.zeros(block // n), async_op=True)

    uses = ([1] * job.layers + [2] * job.layers) * job.micro_batches
    coming, going = gather(), None  # 1.
    for place, times in enumerate(uses):
        coming.wait()
        coming = gather() if place + 1 < len(uses) else None
        _block(node, mesh, shape, job, activation, times)  # 2.
        if times == 2:
            if going is not None:
                going.wait()
            going = shard.reduce_scatter(own_gradient, gradient, async_op=True)  # 3.
    if going is not None:
        going.wait()
    replicas.all_reduce(torch.zeros(job.parameters // (shape[2] * n)))
