"""Lab 17: its worker is the package's, to the bit; what it says of scripts they say themselves."""

import inspect

import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.frameworks import task
from ddl_lab.frameworks.table import FRAMEWORKS

HAND = defined("17", "s17-setup", "s17-worker")


def test_the_worker_by_hand_is_the_packages_to_the_bit():
    ours = lab.simulate(HAND["worker"], 3, args=(1,))
    package = lab.simulate(task.worker, 3, args=(1,))
    assert all(torch.equal(a, b) for a, b in zip(ours.results, package.results, strict=True))
    assert ours.bytes_sent == package.bytes_sent


def test_what_the_lab_builds_is_at_most_25_lines():
    assert len(inspect.getsource(HAND["worker"]).splitlines()) <= 25


def test_where_the_lab_says_that_a_line_averages_the_script_has_it():
    has = {
        "ddp": "loss.backward()",
        "mpi": "Allreduce(MPI.IN_PLACE",
        "jax": "make_step",
        "horovod": "DistributedOptimizer",
    }
    has |= {"paddle": "paddle.DataParallel", "mindspore": "ops.AllReduce", "tensorflow": "ReduceOp.MEAN"}
    has |= {"flower": "FedAvg", "spark_barrier": "context.allGather", "spark": "torch_ddp.py"}
    for name, words in has.items():
        assert words in FRAMEWORKS[name].path.read_text(), name
