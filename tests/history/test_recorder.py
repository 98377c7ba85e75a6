"""What a node records: compact, streamable, refused in words."""

import numpy as np
import pytest
import torch

from ddl_lab.history.recorder import KINDS, SPAN_DTYPE, Recorder


def filled():
    recorder = Recorder()
    recorder.span("compute", 0.0, 1.0)
    recorder.span("send", 1.0, 1.5, peer=3, nbytes=80, label="late")
    recorder.row(0.5, {"loss": 1})
    recorder.row(0.7, {"loss": torch.tensor(2.5), "accuracy": np.float32(0.5)})
    recorder.sent(80, 1)
    return recorder


def test_spans_keep_kind_peer_bytes_and_label():
    recorder = filled()
    send = recorder.span_array()[1]
    assert (KINDS[send["kind"]], send["peer"], send["bytes"]) == ("send", 3, 80)
    assert recorder.labels[send["label"]] == "late"


def test_what_ended_after_a_failure_is_left_out():
    recorder = filled()
    recorder.cut(0.6)
    assert not recorder.spans and list(recorder.row_arrays()) == [("loss",)]
    assert recorder.last == {"loss": 1.0} and recorder.steps == len(recorder.sent_array()) == 1
    assert recorder.bytes_sent == 80, "these had left"
    recorder.cut(0.1)
    assert recorder.last == {} and not recorder.metrics


def test_a_million_spans_take_31_bytes_each():
    recorder = Recorder()
    for _ in range(1000):
        recorder.span("compute", 0.0, 1.0)
    assert len(recorder.spans) == 1000 * SPAN_DTYPE.itemsize == 31_000


def test_steps_count_over_rows_of_different_names():
    rows = filled().row_arrays()
    assert rows[("loss",)]["step"].tolist() == [0]
    assert rows[("loss", "accuracy")]["step"].tolist() == [1]
    assert rows[("loss", "accuracy")]["accuracy"].tolist() == [0.5]


def test_packets_in_parts_rebuild_the_same_record():
    sender, receiver = filled(), Recorder()
    receiver.absorb(sender.drain())
    sender.span("recv", 2.0, 3.0, label="new word")
    sender.row(2.5, {"loss": 9})
    receiver.absorb(sender.drain())
    whole = filled()
    whole.span("recv", 2.0, 3.0, label="new word")
    whole.row(2.5, {"loss": 9})
    assert receiver.drained() == whole.drained()
    assert receiver.steps == 3


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (torch.ones(2), r"shape \(2,\)"),
        ("low", "got a str"),
        (None, "got a NoneType"),
        (torch.tensor(1j), "complex"),
    ],
)
def test_what_is_no_single_number_is_refused_by_name(value, told):
    with pytest.raises((ValueError, TypeError), match=f"record\\(loss=.*{told}"):
        Recorder().row(0.0, {"loss": value})
