"""What a node keeps at each stage."""

from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_09 as exercise


def everything(parameters, nodes, stage, each):
    return parameters * sum(each) / (nodes if stage else 1)


def parameters_first(parameters, nodes, stage, each):
    return exercise.memory.reference(parameters, nodes, stage, each[::-1])


def one_at_a_time(parameters, nodes, stage, each):
    parts = [size / (nodes if stage == 3 - place else 1) for place, size in enumerate(each)]
    return parameters * sum(parts)


def whole_cluster(parameters, nodes, stage, each):
    return nodes * exercise.memory.reference(parameters, nodes, stage, each)


def by_a_sum(parameters, nodes, stage, each):
    kept = (size / nodes if stage >= 3 - place else size for place, size in enumerate(each))
    return parameters * sum(kept)


def by_numpy(parameters, nodes, stage, each):
    shards = np.where(stage >= np.array([3, 2, 1]), nodes, 1)
    return parameters * (np.array(each) / shards).sum()


def of_fractions(parameters, nodes, stage, each):
    theta, gradient, states = map(Fraction, each)
    share = Fraction(parameters, nodes)
    whole = [parameters * (theta + gradient + states), parameters * (theta + gradient) + share * states]
    whole += [parameters * theta + share * (gradient + states), share * (theta + gradient + states)]
    return whole[stage]


def as_a_tensor(parameters, nodes, stage, each):
    sizes = torch.tensor(each, dtype=torch.float64)
    sizes[3 - stage :] /= nodes
    return parameters * sizes.sum()


def in_single_precision(parameters, nodes, stage, each):
    shards = torch.tensor([nodes if stage >= 3 - place else 1 for place in range(3)])
    return parameters * (torch.tensor(each) / shards).sum()


def in_whole_parameters(parameters, nodes, stage, each):
    return sum(size * (parameters // nodes if stage >= 3 - k else parameters) for k, size in enumerate(each))


test_any_style_passes = passes(
    exercise.memory, by_a_sum, by_numpy, of_fractions, as_a_tensor, in_single_precision
)

test_a_mistake_is_named = refused(
    exercise.memory,
    (everything, "and that is stage 3"),
    (parameters_first, "states are sharded first"),
    (one_at_a_time, "keeps what the stages before it have sharded"),
    (in_whole_parameters, "2,012,168 bytes, and a node keeps 2,012,170"),
    (whole_cluster, "64 is the node count"),
)
