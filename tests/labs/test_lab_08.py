"""Lab 08: what it builds by hand is what the package has, line for line in its numbers."""

import inspect

import pytest
import torch
from reading import cells, defined

import ddl_lab as lab
from ddl_lab.strategies import pipeline as package
from ddl_lab.strategies import schedules, works
from ddl_lab.strategies.schedules import by_stage, gpipe, interleaved, one_f_one_b, with_messages

BY_HAND = ["layers", "naive", "work", "interpret", "train", "recompute", "async"]
HAND = defined("08", "s08-setup", *(f"s08-{name}" for name in BY_HAND))
DATA = lab.load_digits().train
PLANS = {
    "gpipe": with_messages(by_stage(gpipe, 4, 5)),
    "1f1b": with_messages(by_stage(one_f_one_b, 4, 5)),
    "interleaved": with_messages(interleaved(4, 4, 2)),
}


def joined(history):
    found = {s: theta for result in history.results for s, theta in result.items()}
    return torch.cat([found[s] for s in sorted(found)])


def theirs_of(engine, schedule, micros, work_of):
    return engine(package.pipeline, 4, args=(DATA, schedule, 3, 64, 0.05, HAND["SECONDS"], work_of))


def test_the_layers_and_cuts_are_the_packages():
    ours, theirs = HAND["make_layers"](0), package.make_layers(0)
    for stages in range(1, 11):
        for a, b in zip(HAND["cut"](ours, stages), package.cut(theirs, stages), strict=True):
            assert torch.equal(lab.parameters(a), lab.parameters(b))


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("work", ["Work", "Recomputing"])
def test_the_worker_by_hand_and_the_packages_agree_to_the_bit(name, work):
    schedule = PLANS[name]
    micros = 4 if name == "interleaved" else 5
    ours = lab.simulate(HAND["pipeline"], 4, args=(schedule, micros, 3, HAND["SECONDS"], HAND[work]))
    theirs = theirs_of(lab.simulate, schedule, micros, getattr(package if work == "Work" else works, work))
    assert torch.equal(joined(ours), joined(theirs))
    assert (ours.bytes_sent, ours.messages_sent) == (theirs.bytes_sent, theirs.messages_sent)
    assert ours.elapsed_s == theirs.elapsed_s
    assert ours.metrics["peak_bytes"].tolist() == theirs.metrics["peak_bytes"].tolist()


def test_they_agree_in_processes_too():
    def engine(worker, nodes, args):
        return lab.run(worker, nodes, args=args, progress=False, timeout_s=60)

    nothing = {"forward": 0, "backward": 0}
    ours = engine(HAND["pipeline"], 4, (PLANS["1f1b"], 5, 3, nothing, HAND["Work"]))
    theirs = theirs_of(engine, PLANS["1f1b"], 5, package.Work)
    assert torch.equal(joined(ours), joined(theirs))
    assert ours.bytes_sent == theirs.bytes_sent


def test_the_naive_worker_is_gpipe_with_one_micro_batch():
    x, y = DATA.x[:30].clone(), DATA.y[:30].clone()
    schedule = with_messages(by_stage(gpipe, 4, 1))

    def by_schedule(node):
        stages, last = package.mine(node, schedule, package.make_layers(seed=0))
        work = package.Work(stages, last, x, y, 1)
        package.interpret(node, schedule[node.rank], work)
        return work.gradients[node.rank]

    ours = lab.simulate(HAND["naive"], 4, args=(x, y))
    theirs = lab.simulate(by_schedule, 4)
    assert all(torch.equal(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert ours.bytes_sent == theirs.bytes_sent


@pytest.mark.parametrize("stash", [True, False])
def test_the_asynchronous_work_is_the_packages(stash):
    schedule = with_messages(by_stage(one_f_one_b, 3, 6))
    x, y = DATA.x[:24].clone(), DATA.y[:24].clone()

    def worker(node, by_hand):
        stages, last = package.mine(node, schedule, package.make_layers(seed=0))
        if by_hand:
            work = HAND["Asynchronous" if stash else "Mixed"](stages, last, x, y, 6)
            work.versions, work.taken, work.done = {}, {}, 0
        else:
            work = works.Asynchronous(stages, last, x, y, 6, lr=0.05, stash=stash)
        package.interpret(node, schedule[node.rank], work)
        seen = work.versions if by_hand else work.seen
        taken = [work.taken[node.rank, k] for k in range(6)] if by_hand else work.delays[node.rank]
        return seen, taken, lab.parameters(stages[node.rank]).clone()

    for ours, theirs in zip(
        *(lab.simulate(worker, 3, args=(h,)).results for h in (True, False)), strict=True
    ):
        assert ours[1] == theirs[1] and torch.equal(ours[2], theirs[2])
        for key, row in ours[0].items():
            assert all(torch.equal(a, b) for a, b in zip(row, theirs[0][key], strict=True))


@pytest.mark.parametrize("name", ["naive", "interpret", "pipeline"])
def test_the_labs_workers_are_at_most_25_lines(name):
    assert len(inspect.getsource(HAND[name]).splitlines()) <= 25


def test_the_labs_by_stage_is_the_packages():
    given = {"Step": schedules.Step, "with_messages": with_messages, "gpipe": gpipe, "print": lambda *a: None}
    source = cells("08")["s08-messages"]
    names = dict(given)
    exec(source, names)
    assert names["by_stage"](one_f_one_b, 4, 3) == by_stage(one_f_one_b, 4, 3)


def test_the_pictures_floats_are_what_stages_keep():
    names = defined("08", "s08-setup", "s08-layers", "s08-picture")
    schedule = with_messages(by_stage(one_f_one_b, 4, 8))
    history = lab.simulate(package.pipeline, 4, args=(DATA, schedule, 1, 80))
    flight = [4, 3, 2, 1]
    told = [4 * f * 10 * n for f, n in zip(names["floats"](4), flight, strict=True)]
    assert history.metrics["peak_bytes"].tolist() == pytest.approx(told, rel=0.01)
