"""Checkpoints in parts: all ranks' files count at once, whenever one of them dies."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.sharded_checkpoints import newest, read_together, whole, write_together


def saves(node, folder, step):
    write_together(node, folder, step, {"mine": torch.tensor([step, node.rank])})


def reads(node, folder, step):
    return read_together(node, folder, step)["mine"].tolist()


def dies_before_its_file(node, folder, step):
    if node.rank == 2:
        node.barrier()  # the folder is there
        raise RuntimeError("dies")
    saves(node, folder, step)


@pytest.mark.parametrize("engine", [lab.simulate, lab.run])
def test_every_rank_reads_its_own_part_of_the_newest_whole_checkpoint(tmp_path, engine):
    assert newest(tmp_path) is None
    for step in (9, 10, 11):
        engine(saves, 3, args=(tmp_path, step))
    assert newest(tmp_path) == 11
    assert engine(reads, 3, args=(tmp_path, 11)).results == [[11, 0], [11, 1], [11, 2]]


def test_a_checkpoint_that_lacks_a_rank_does_not_count_and_the_next_try_takes_its_place(tmp_path):
    lab.simulate(saves, 3, args=(tmp_path, 1))
    with pytest.raises(lab.WorkerError):
        lab.simulate(dies_before_its_file, 3, args=(tmp_path, 2))
    assert newest(tmp_path) == 1 and not whole(tmp_path, 2).exists()
    lab.simulate(saves, 3, args=(tmp_path, 2))
    assert newest(tmp_path) == 2 and len(list(tmp_path.iterdir())) == 2


def test_other_numbers_of_ranks_are_refused(tmp_path):
    lab.simulate(saves, 3, args=(tmp_path, 1))
    with pytest.raises(lab.WorkerError, match="step 1 was saved by 3 ranks, and here are 2"):
        lab.simulate(reads, 2, args=(tmp_path, 1))
