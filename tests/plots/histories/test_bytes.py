"""A metric against what was sent: counted at every record, kept in files, drawn."""

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.history.history import History
from ddl_lab.plots.histories.curves import against_bytes, curve_of


def all_reducing(node):
    for step in range(3):
        node.all_reduce(torch.zeros(100))
        node.record(loss=1.0 / (1 + step))


def serving(node):
    """Rank 0 alone records; the others send to it, and it to them."""
    for step in range(3):
        if node.rank:
            node.send(torch.zeros(50), 0)
            node.recv(torch.zeros(100), 0)
            with node.compute(seconds=1.0):  # what it sends next comes after the record
                pass
        else:
            for src in range(1, node.world_size):
                node.recv(torch.zeros(50), src)
            for dst in range(1, node.world_size):
                node.send(torch.zeros(100), dst)
            node.record(loss=1.0 / (1 + step))


def sent(history):
    return against_bytes(history, curve_of(history, "loss").steps)


@pytest.mark.parametrize("engine", ["simulate", "run"])
def test_a_rank_counts_what_it_had_sent_at_every_record(engine):
    options = {} if engine == "simulate" else {"progress": False}
    history = getattr(lab, engine)(all_reducing, 4, **options)
    each = 2 * 3 * 100
    assert [r.sent_array().tolist() for r in history.recorders] == [[each, 2 * each, 3 * each]] * 4
    assert (
        sent(history).x.tolist()
        == [4 * each, 8 * each, 12 * each]
        == [sum(history.bytes_sent) * k / 3 for k in (1, 2, 3)]
    )
    assert sent(history).mean.tolist() == [1.0, 0.5, 1 / 3]


def test_ranks_that_record_nothing_count_by_their_messages():
    history = lab.simulate(serving, 3)
    assert sent(history).x.tolist() == [1200, 2400, 3600]  # both ways, of both clients
    assert sum(history.bytes_sent) == 3600


def test_a_file_keeps_what_was_sent_and_an_older_one_says_what_it_lacks(tmp_path):
    history = lab.simulate(all_reducing, 2)
    kept = History.load(history.save(tmp_path / "kept"))
    assert sent(kept).x.tolist() == sent(history).x.tolist()
    with np.load(tmp_path / "kept.npz") as arrays:
        np.savez(tmp_path / "older.npz", **{k: v for k, v in arrays.items() if not k.startswith("sent_")})
    older = History.load(tmp_path / "older.npz")
    assert older.metrics.equals(history.metrics)
    with pytest.raises(ValueError, match="saved before records knew what was sent"):
        older.plot_metric(against="bytes")


def test_the_axis_is_named_and_the_curve_is_over_it():
    history = lab.simulate(all_reducing, 2)
    figure = history.plot_metric("loss", against="bytes")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "bytes sent by all ranks"
    assert ax.lines[0].get_xdata().tolist() == sent(history).x.tolist()
