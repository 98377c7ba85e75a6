"""Lab 18: its stream is the package's, its rounds outlive a death, its entries are those that were scored."""

import inspect
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from reading import LABS, cells, defined

import ddl_lab as lab
from ddl_lab.strategies import streams
from ddl_lab.training.swept import swept
from tools.sweeps import contest

HAND = defined("18", "s18-setup", "s18-online", "s18-edge-awake", "s18-edge-phones", "s18-edge-rounds")
DIGITS = lab.load_digits()


@pytest.mark.parametrize("every", [0, 1, 16])
def test_a_stream_by_hand_is_the_packages_to_the_bit(every):
    ours = lab.simulate(HAND["online"], 3, args=(every, 20, 0.3, 1))
    theirs = lab.simulate(streams.online, 3, args=(DIGITS.train, 124, every, 20, 0.3, 4, 64, 1))
    assert all(torch.equal(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert ours.metrics.right.tolist() == theirs.metrics.right.tolist()
    assert ours.bytes_sent == theirs.bytes_sent


def test_the_seeds_say_what_the_lab_says_of_streams():
    table = swept("streams")
    mean = table.groupby(["way", "lr"])["all"].mean()
    at_02 = table[table.lr == 0.2].pivot(index="seed", columns="way", values="next20")
    assert (at_02["every 16"] < at_02["apart"]).all()  # slower at one rate, on every seed
    assert abs(mean["every 16"].max() - mean["apart"].max()) < 0.005  # and as good, each at its best
    assert all((mean["in step"] > mean[way]).all() for way in ("every 4", "every 16", "apart"))
    after = table.groupby(["way", "lr"]).next20.mean()
    assert after["in step", 0.2] < after["apart", 0.2]  # behind for some twenty steps at this rate
    assert after["in step"].max() > after["apart"].max() + 0.05  # ahead after a change, each at its best


@pytest.mark.parametrize(("told", "nodes"), [({}, 2), ({"WORLD_SIZE": "8"}, 8)])
def test_the_script_for_a_cluster_takes_as_many_ranks_as_the_launcher_has(told, nodes, monkeypatch):
    asked = []
    monkeypatch.setattr(lab, "run", lambda worker, count, progress: asked.append(count))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    (script,) = re.findall(r"script = '''(.*?)'''", cells("18")["s18-cluster-script"], re.S)
    exec(script, {})
    assert asked == [nodes]


@pytest.mark.parametrize("seed", range(3))
def test_somebody_is_always_awake_and_on_the_mean_as_many_as_asked(seed):
    rounds = [HAND["awake"](number, 20, seed) for number in range(200)]
    assert all(rounds) and all(0 <= rank < 20 for ranks in rounds for rank in ranks)
    assert np.mean([len(ranks) for ranks in rounds]) == pytest.approx(4, rel=0.1)
    assert HAND["awake"](0, 1, seed) == [0]


def test_who_takes_first_begins_a_round_with_what_the_last_one_ended_with():
    kinds = lab.share_out(DIGITS.train, 5, shards=2)
    run = lab.simulate(HAND["phones"], 5, args=(kinds, True, 0, 6))
    last = HAND["awake"](5, 5, 0)
    assert all(torch.equal(run.results[rank], run.results[last[0]]) for rank in last)
    stale = lab.simulate(HAND["phones"], 5, args=(kinds, False, 0, 6))
    assert run.bytes_sent != stale.bytes_sent
    assert not torch.equal(run.results[last[0]], stale.results[last[0]])


def test_rounds_go_on_after_a_death_to_the_bit(tmp_path):
    parts = lab.share_out(DIGITS.train, 3, sizes=[20] * 3)
    told = (parts, tmp_path / "whole.pt", 4)
    whole = lab.parameters(lab.simulate(HAND["rounds_of"], 3, args=told).results[0])
    deadly = lab.Cluster(speeds=50, fails={1: 0.7})
    run = lab.keep_going(
        HAND["rounds_of"],
        3,
        virtual=True,
        cluster=deadly,
        args=(parts, tmp_path / "going.pt", 4),
        progress=False,
    )
    assert len(run.attempts) == 2
    assert torch.equal(lab.parameters(run.results[0]), whole)


def test_the_labs_entries_are_those_that_were_scored():
    for name, cell, swept_entry in (
        ("naive", "s18-contest-naive", "naive"),
        ("alone", "s18-contest-alone", "alone"),
    ):
        mine = cells("18")[cell].split(f"def {name}(node):\n")[1].split("\n\n")[0]
        theirs = inspect.getsource(getattr(contest, swept_entry)).split('"""\n', 1)[1]
        assert _bare(mine) == _bare(theirs), name


@pytest.mark.parametrize("name", ["alone", "cheapest", "fastest"])
def test_an_entry_takes_the_seconds_that_the_table_says(name):
    (title,) = [title for title, entry in contest.ENTRIES.items() if entry is getattr(contest, name)]
    row = swept("contest").set_index("entry").loc[title]
    score = contest.task.score(contest.ENTRIES[title], confirm=False)
    assert score.reached
    assert score.seconds == pytest.approx(row.seconds, rel=0.1)  # a look more or less, on another processor
    assert 100 * score.money == pytest.approx(row.cents, rel=0.1)


def test_the_lab_doesnt_show_how_the_best_entries_are_made():
    code = _bare("\n".join(cells("18").values()))
    for entry in (contest.cheapest, contest.fastest):
        assert _bare(inspect.getsource(entry).split('"""\n', 1)[1]) not in code


@pytest.mark.parametrize("name", ["online", "phones", "rounds_of"])
def test_what_the_lab_builds_is_at_most_25_lines(name):
    assert len(inspect.getsource(HAND[name]).splitlines()) <= 25


def _bare(source):
    """The lines that compute, without comments and empty ones."""
    lines = [line.split("  #")[0].strip() for line in source.splitlines()]
    return "\n".join(line for line in lines if line)


def test_twelve_nodes_need_nearly_as_many_steps_as_one_at_the_same_rate():
    steps = swept("contest").set_index("entry").steps
    assert 0.8 < steps["twelve, lr 0.1"] / steps["one, lr 0.1"] < 1
    score = contest.task.score(contest.alone, confirm=False)
    assert contest.steps_of(score) == pytest.approx(steps["one, lr 0.1"], abs=20)  # a look more or less


def test_the_lines_for_slurm_and_kubernetes_are_those_of_the_files_that_are_tested():
    """But for the arguments that the files pass on."""
    docs = Path(__file__).parents[2] / "docs" / "cluster"
    files = "".join((docs / name).read_text() for name in ("slurm.sbatch", "kubernetes.yaml"))
    plain = files.replace(' "$@"\' rank "$@"', "'").replace(' "$@"\', rank]', "']")
    (text,) = [
        cell.source
        for cell in nbformat.read(LABS / "18_from_here.ipynb", as_version=4).cells
        if cell.id == "s18-cluster-lines"
    ]
    lines = [
        line for block in re.findall(r"```(?:bash|yaml)\n(.*?)```", text, re.S) for line in block.splitlines()
    ]
    assert len(lines) == 6 and [line for line in lines if line.strip() not in plain] == []
