"""Young's interval for n nodes."""

import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_14 as exercise


def by_two_roots(save_s, node_mtbf_s, nodes):
    return math.sqrt(2 * save_s) * math.sqrt(node_mtbf_s) / math.sqrt(nodes)


def by_rates(save_s, node_mtbf_s, nodes):
    rate = sum(1 / node_mtbf_s for _ in range(nodes))
    return np.sqrt(2 * save_s / rate)


def in_torch(save_s, node_mtbf_s, nodes):
    return torch.tensor(2 * save_s * node_mtbf_s / nodes, dtype=torch.float64).sqrt()


test_any_style_passes = passes(exercise.interval, by_two_roots, by_rates, in_torch)

test_a_mistake_is_named = refused(
    exercise.interval,
    (lambda save_s, node_mtbf_s, nodes: math.sqrt(2 * save_s * node_mtbf_s), "that is one node's"),
    (lambda save_s, node_mtbf_s, nodes: math.sqrt(2 * save_s * node_mtbf_s * nodes), "not more rarely"),
    (lambda save_s, node_mtbf_s, nodes: math.sqrt(2 * save_s * node_mtbf_s) / nodes, "under the root"),
    (lambda save_s, node_mtbf_s, nodes: math.sqrt(save_s * node_mtbf_s / nodes), "a factor 2 is missing"),
    (lambda save_s, node_mtbf_s, nodes: 2 * save_s * node_mtbf_s / nodes, "that is its square"),
    (lambda save_s, node_mtbf_s, nodes: 2 * math.sqrt(save_s * node_mtbf_s / nodes), "2 belongs under"),
    (lambda save_s, node_mtbf_s, nodes: (2 * save_s * node_mtbf_s // nodes) ** 0.5, "was asked"),
    (lambda save_s, node_mtbf_s, nodes: by_two_roots(save_s, node_mtbf_s, nodes) - save_s, "Daly's"),
)
