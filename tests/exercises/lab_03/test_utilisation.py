"""How busy a geometric cluster is."""

import numpy as np
import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_03 as exercise


def closed_form(alpha, nodes):
    return (1 - alpha**nodes) / (nodes * (1 - alpha))


def busy(alpha, nodes):
    speeds = [alpha**i for i in range(nodes)]
    return [min(speeds) / speed for speed in speeds]


def throughput_share(alpha, nodes):
    speeds = [alpha**i for i in range(nodes)]
    return nodes * min(speeds) / sum(speeds)


def closed_form_of_numpy(alpha, nodes):
    return closed_form(np.float64(alpha), nodes)


def by_numpy(alpha, nodes):
    speeds = np.float64(alpha) ** np.arange(nodes)
    return (speeds.min() / speeds).mean()


def by_the_closed_form_and_its_exception(alpha, nodes):
    a = min(alpha, 1 / alpha)
    return 1.0 if a == 1 else closed_form(a, nodes)


def by_tensors(alpha, nodes):
    took_s = 1 / alpha ** torch.arange(nodes, dtype=torch.float64)
    return took_s.mean() / took_s.max()


def by_simulation(alpha, nodes):
    def worker(node):
        with node.compute(samples=1):
            pass
        node.barrier()

    speeds = [alpha**i for i in range(nodes)]
    spans = lab.simulate(worker, nodes, cluster=lab.Cluster(speeds=speeds, latency_s=0.0)).spans
    took_s = (spans["end_s"] - spans["start_s"])[spans["kind"] == "compute"]
    return took_s.sum() / nodes / took_s.max()


test_any_style_passes = passes(
    exercise.utilisation, by_numpy, by_the_closed_form_and_its_exception, by_tensors, by_simulation
)

test_a_mistake_is_named = refused(
    exercise.utilisation,
    (closed_form, "alpha = 1.0, 4 nodes: the closed form divides 0 by 0"),
    (lambda a, n: sum(busy(a, n)), "added the busy shares of all nodes"),
    (lambda a, n: 100 * sum(busy(a, n)) / n, "in percent"),
    (lambda a, n: 1 - sum(busy(a, n)) / n, "share of time spent waiting"),
    (throughput_share, "share of the samples/s"),
    (lambda a, n: min(busy(a, n)), "the node that waits longest"),
    (lambda a, n: sum(a**k for k in range(n)) / n, "the slowest node is rank 0"),
    (closed_form_of_numpy, "alpha = 1.0, 4 nodes: the closed form divides 0 by 0"),
)
