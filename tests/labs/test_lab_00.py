"""Lab 00: what it says of speed it measures alike on both sides, and what many nodes do is nearly one's."""

import itertools
from types import SimpleNamespace

import torch
from reading import defined

import ddl_lab as lab


def test_processes_and_programs_are_started_equally_often_and_the_best_counts():
    started = []
    counting = SimpleNamespace(run=lambda worker, nodes: started.append(nodes))
    programs = SimpleNamespace(run=lambda command, check: started.append(command[-1]))
    clock = SimpleNamespace(perf_counter=itertools.chain([0, 9, 9, 10, 10, 15], itertools.count()).__next__)
    given = {"lab": counting, "subprocess": programs, "time": clock}
    names = defined("00", "s00-startup", sys=SimpleNamespace(executable="python"), **given)
    assert started == [4] * 3 + ["pass"] * 3 + ["import torch"] * 3
    assert (names["run_s"], names["bare_s"], names["torch_s"]) == (1, 1, 1)


def test_one_process_and_four_train_in_turns_and_the_best_run_of_each_counts():
    rates, asked = iter([5.0, 2.0, 1.0, 6.0, 3.0, 0.5, 4.0, 1.0, 2.5]), []

    def run(worker, nodes, progress):
        asked.append((worker, nodes, progress))
        return SimpleNamespace(samples_per_s=next(rates))

    names = defined("00", "s00-speed-run", lab=SimpleNamespace(run=run), train="train")
    assert asked == [("train", n, False) for n in (1, 2, 4)] * 3, "a printed time would tell the answer"
    assert names["rates"] == {1: 6.0, 2: 3.0, 4: 2.5}


def test_up_to_four_nodes_have_one_nodes_losses_and_more_of_them_nearly():
    """Shares are unequal from 8 nodes on, and the plain mean counts them alike."""
    threads = torch.get_num_threads()
    names = defined("00", "s00-machine", "s00-digits", "s00-train")
    torch.set_num_threads(threads)

    def losses(nodes):
        history = lab.simulate(names["train"], nodes, args=(1,))
        return history.metrics.groupby("step")["loss"].mean()

    alone = losses(1)
    apart = {n: (losses(n) - alone).abs().max() for n in (2, 4, 8, 64)}
    assert apart[2] < 1e-6 and apart[4] < 1e-6 and 1e-5 < apart[8] < apart[64] < 1e-3
