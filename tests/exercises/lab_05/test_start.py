"""One start for all, in one exchange of any kind."""

import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_05 as exercise


def opens_no_parcel(node, model):
    node.broadcast(lab.parameters(model).clone(), src=0)


def averages(node, model):
    node.all_reduce(lab.parameters(model), op="mean")


def adds(node, model):
    node.all_reduce(lab.parameters(model), op="sum")


def takes_the_last(node, model):
    node.broadcast(lab.parameters(model), src=node.world_size - 1)


def layer_by_layer(node, model):
    for parameter in model.parameters():
        node.broadcast(parameter.data, src=0)


def to_one_after_another(node, model):
    for rank in range(1, node.world_size):
        if node.rank == 0:
            node.send(lab.parameters(model), rank)
        elif node.rank == rank:
            node.recv(lab.parameters(model), 0)


def only_rank_0_calls(node, model):
    if node.rank == 0:
        node.broadcast(lab.parameters(model), src=0)


def draws_it_anew(node, model):
    lab.parameters(model).copy_(lab.parameters(lab.make_model(seed=0, hidden=6)))


def by_broadcast(node, model):
    node.broadcast(lab.parameters(model), 0)


def on_a_copy_written_back(node, model):
    flat = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    node.broadcast(flat, src=0)
    torch.nn.utils.vector_to_parameters(flat, model.parameters())


def by_a_sum_of_zeros(node, model):
    flat = lab.parameters(model)
    flat *= node.rank == 0
    node.all_reduce(flat)


def by_all_gather(node, model):
    flat = lab.parameters(model)
    every = torch.empty(node.world_size, len(flat))
    node.all_gather(every, flat)
    flat.copy_(every[0])


def draws_from_one_seed(node, model):
    torch.manual_seed(0)


def by_scatter(node, model):
    flat = lab.parameters(model)
    node.scatter(flat, [flat] * node.world_size if node.rank == 0 else None, src=0)


test_any_style_passes = passes(
    exercise.start, by_scatter, by_broadcast, on_a_copy_written_back, by_a_sum_of_zeros, by_all_gather
)

test_a_mistake_is_named = refused(
    exercise.start,
    (draws_from_one_seed, "rank 1 still has its own model: nothing was sent"),
    (opens_no_parcel, "rank 1 still has its own model"),
    (averages, "the mean of all ranks' models"),
    (adds, "the sum of all ranks' models"),
    (takes_the_last, "the last rank's"),
    (layer_by_layer, "send it in one node.broadcast"),
    (to_one_after_another, "rank 0 makes 3 calls of the node: lab.parameters"),
    (only_rank_0_calls, "every rank must make the same calls"),
    (draws_it_anew, "model differs"),
)
