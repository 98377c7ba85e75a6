"""Checkpoints: with all four parts a run goes on to the bit; files are whole, or refused."""

import os

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies import checkpoints
from ddl_lab.strategies.checkpoints import momentum_steps, read_whole, recovering, stream, write_whole

DATA = lab.load_digits().train
SMALL = {"hidden": 8, "noise": 0.3}


def steps(state, count, nodes=3, engine=lab.simulate, **options):
    def worker(node):
        return momentum_steps(node, DATA, state, count, **(SMALL | options))

    return engine(worker, nodes).results[0]


@pytest.fixture(scope="module")
def half():
    return steps({}, 23)


@pytest.fixture(scope="module")
def undisturbed():
    return steps({}, 30)


@pytest.mark.parametrize("engine", [lab.simulate, lab.run])
def test_from_a_whole_state_a_run_goes_on_to_the_bit(half, undisturbed, engine):
    went_on = steps(half, 7, engine=engine)
    assert all(torch.equal(torch.as_tensor(went_on[key]), torch.as_tensor(undisturbed[key])) for key in half)


@pytest.mark.parametrize("missing", ["theta", "velocity", "seen", "chance"])
def test_each_part_of_a_state_is_needed(half, undisturbed, missing):
    went_on = steps({key: part for key, part in half.items() if key != missing}, 7)
    off = (went_on["theta"] - undisturbed["theta"]).norm() / undisturbed["theta"].norm()
    assert off > 1e-3


def test_other_numbers_of_nodes_make_the_same_steps_to_rounding(half):
    four, two, one = (steps(half, 7, nodes, noise=0.0)["theta"] for nodes in (4, 2, 1))
    assert (four - one).norm() < 1e-6 * one.norm() > (two - one).norm()


def test_a_stream_goes_on_in_the_middle_of_an_epoch_and_into_the_next():
    def labels(node, seen, count):
        rows = stream(DATA, node, 500, seen)
        return torch.cat([next(rows)[1] for _ in range(count)])

    whole, rest = (lab.simulate(labels, 2, args=case).results for case in ((0, 20), (3500, 13)))
    assert all(torch.equal(a[7 * 250 :], b) for a, b in zip(whole, rest, strict=True))


STATE = {"theta": torch.arange(5.0), "seen": 3}


def test_a_file_gives_back_what_was_written_and_nothing_else_stays(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_whole(path, STATE)
    write_whole(path, STATE | {"seen": 4})
    found = read_whole(path)
    assert torch.equal(found["theta"], STATE["theta"]) and found["seen"] == 4
    assert list(tmp_path.iterdir()) == [path]


def test_every_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_whole(path, STATE)
    data = path.read_bytes()
    for place in (0, 31, 32, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ValueError, match=r"checkpoint\.pt isn't what was written"):
            read_whole(path)
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="isn't what was written"):
        read_whole(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_ends_before_its_last_act_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "checkpoint.pt"
    write_whole(path, STATE)
    before = path.read_bytes()

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, call, dies)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, STATE | {"seen": 4})
    assert path.read_bytes() == before


def test_a_run_that_dies_goes_on_from_its_last_checkpoint(tmp_path):
    cluster = lab.Cluster(speeds=1000.0, fails={1: 0.5})
    arguments = (6000, 10, 0.01)

    def worker(node, path):
        return recovering(node, DATA, path, *arguments, **SMALL)

    (tmp_path / "one").mkdir()
    alone = lab.simulate(worker, 2, args=(tmp_path / "one" / "checkpoint.pt",)).results[0]
    history = lab.keep_going(
        worker, 2, virtual=True, cluster=cluster, progress=False, args=(tmp_path / "checkpoint.pt",)
    )
    assert [attempt.rank for attempt in history.attempts] == [1, None]
    assert torch.equal(history.results[0], alone)


def test_the_count_rides_along_so_unequal_shares_weigh_as_they_should():
    def worker(node):
        return checkpoints.weighted_mean(node, torch.tensor([float(node.rank)]), node.rank + 1)

    for mean, samples in lab.simulate(worker, 3).results:
        assert samples == 6 and mean.item() == pytest.approx((0 * 1 + 1 * 2 + 2 * 3) / 6)
