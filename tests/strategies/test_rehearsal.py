"""A rehearsed step: it sends what training sends, and refuses what doesn't come out even."""

from dataclasses import replace

import pytest

import ddl_lab as lab
from ddl_lab.strategies import meshes
from ddl_lab.strategies.rehearsal import rehearse

JOB = meshes.Job(width=16, layers=4, tokens=256, micro_batches=4)


def test_a_mesh_on_which_the_job_is_uneven_is_not_rehearsed():
    with pytest.raises(lab.WorkerError, match="doesn't come out even on the mesh"):
        lab.simulate(rehearse, 3, args=((1, 3, 1), JOB))


@pytest.mark.parametrize("shape", [(8, 1, 1), (2, 2, 2), (1, 4, 2)], ids=str)
def test_processes_send_what_simulated_nodes_do(shape):
    real = lab.run(rehearse, 8, args=(shape, JOB), progress=False, timeout_s=60)
    simulated = lab.simulate(rehearse, 8, args=(shape, JOB))
    assert (real.bytes_sent, real.messages_sent) == (simulated.bytes_sent, simulated.messages_sent)


def test_fsdp_gathers_each_block_twice_a_micro_batch_and_scatters_once():
    sent = lab.simulate(rehearse, 4, args=((4, 1, 1), replace(JOB, shards=4))).bytes_sent
    share = 3 * 4 * JOB.parameters // 4  # of one all-gather of everything, around a ring
    assert sent == [JOB.micro_batches * 3 * share] * 4


def test_a_shard_s_replicas_all_reduce_it_once():
    two = lab.simulate(rehearse, 4, args=((4, 1, 1), replace(JOB, shards=2))).bytes_sent
    share = 4 * JOB.parameters // 2
    assert two == [JOB.micro_batches * 3 * share + share] * 4


def test_an_old_copy_of_lab_09_finds_it_where_it_was():
    assert meshes.rehearse is rehearse
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        meshes.nothing  # noqa: B018
