"""Lab 14: what it builds by hand is what the package has, to the bit; a job's life adds up; nothing stays."""

import inspect
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import checkpoints, robust

CELLS = (
    "stream",
    "train",
    "torn-file",
    "torn-ways",
    "write",
    "often-life",
    "on-start-worker",
    "parts",
    "held-worker",
)
HAND = defined("14", "s14-setup", *(f"s14-{name}" for name in CELLS), "s14-parts-together", "s14-liars-krum")
DATA = lab.load_digits().train


@pytest.mark.parametrize(("handed", "left"), [("write", 0), ("write, flush", 1000), ("flush, fsync", 1000)])
def test_a_death_takes_what_python_holds_and_leaves_what_the_system_holds(handed, left, tmp_path):
    with pytest.raises(lab.WorkerError, match="SIGKILL"):
        lab.run(HAND["dies_holding"], 1, args=(tmp_path / "held.bin", handed), progress=False)
    assert (tmp_path / "held.bin").stat().st_size == left


@pytest.mark.parametrize("nodes", [1, 3])
def test_the_training_by_hand_is_the_packages_to_the_bit(nodes):
    def package(node):
        return checkpoints.momentum_steps(node, DATA, {}, 8, noise=0.3)

    ours, theirs = lab.simulate(HAND["train"], nodes, args=({}, 8)), lab.simulate(package, nodes)
    for part, value in ours.results[0].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(theirs.results[0][part])), part
    assert (ours.bytes_sent, ours.messages_sent) == (theirs.bytes_sent, theirs.messages_sent)


def test_the_worker_that_recovers_goes_on_from_the_packages_file(tmp_path):
    def package(node, until):
        return checkpoints.recovering(node, DATA, tmp_path / "one.pt", until, 5, noise=0.3)

    lab.simulate(package, 2, args=(2000,))
    by_both = lab.simulate(HAND["recovering"], 2, args=(tmp_path / "one.pt", 4000)).results[0]
    by_hand = lab.simulate(HAND["recovering"], 2, args=(tmp_path / "two.pt", 4000)).results[0]
    assert torch.equal(by_both, by_hand)


@pytest.mark.parametrize("liars", [0, 2])
def test_krum_by_hand_is_the_packages(liars):
    vectors = torch.randn(9, 50, generator=torch.Generator().manual_seed(1))
    vectors[3] = torch.nan
    assert torch.equal(HAND["krum"](vectors, liars), robust.krum(vectors, liars))


@pytest.mark.parametrize("every", [20, 300, 1000])
def test_a_jobs_life_has_no_gap_and_its_work_is_counted(every):
    did = HAND["life"](every, 5, 1000, seed=2)
    assert did[0][1] == 0 and all(one[2] == next_[1] for one, next_ in pairwise(did))
    kept = [end - start for kind, start, end in did if kind == "work that stays"]
    assert kept and kept == pytest.approx([every] * len(kept))
    assert HAND["spent"](did) == pytest.approx(did[-1][2] / sum(kept))


def test_without_failures_time_over_work_is_that_of_saving():
    assert HAND["spent"](HAND["life"](100, 5, 1e12)) == pytest.approx(1.05)
    assert HAND["exact"](100, 5, 1e12) == pytest.approx(1.05, rel=1e-3)


def test_all_files_of_the_lab_lie_in_one_folder_that_goes_with_it():
    folder = Path(HAND["home"].name)
    assert folder == HAND["folder"] and (folder / "apart").is_dir()
    HAND["home"].cleanup()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["train", "recovering", "write", "krum", "two_saves"])
def test_what_the_lab_builds_is_at_most_25_lines(name):
    assert len(inspect.getsource(HAND[name]).splitlines()) <= 25
