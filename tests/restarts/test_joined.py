"""Attempts in a row: records of several runs, joined by rank."""

from ddl_lab.history.attempts import Attempt
from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder
from ddl_lab.restarts.joined import in_a_row


def recorded(began, rows, label="sum", nbytes=10):
    recorder = Recorder()
    recorder.span("compute", began, began + 1, label=f"only here {began}")
    for row in range(rows):
        recorder.sent(nbytes, 1)
        recorder.span("all_reduce", began + row, began + row + 1, nbytes=nbytes, label=label)
        recorder.row(began + row + 1, {"loss": float(row)})
    return recorder


def joined(*parts):
    attempts = [Attempt(len(part), 0, 10.0 * (k + 1)) for k, part in enumerate(parts)]
    return History("virtual", in_a_row(parts), attempts=attempts)


def test_labels_bytes_and_samples_are_those_of_each_attempt():
    history = joined([recorded(0.0, 2)], [recorded(10.0, 1, "mean")])
    told = history.spans[["kind", "start_s", "label"]].values.tolist()
    assert ["compute", 0.0, "only here 0.0"] in told and ["compute", 10.0, "only here 10.0"] in told
    assert ["all_reduce", 1.0, "sum"] in told and ["all_reduce", 10.0, "mean"] in told
    assert history.bytes_sent == [30] and history.messages_sent == [3]
    assert history.recorders[0].sent_array().tolist() == [10, 20, 30]
    assert [recorder.last for recorder in history.recorders] == [{"loss": 0.0}]


def test_steps_go_on_and_are_the_same_for_all_ranks_after_a_failure():
    history = joined([recorded(0.0, 3), recorded(0.0, 2)], [recorded(10.0, 1), recorded(10.0, 1)])
    assert history.metrics["step"].tolist() == [0, 1, 2, 3, 0, 1, 3]
    assert history.plot_metric("loss", against="bytes") is not None, "also where a rank skips one"


def test_with_fewer_nodes_the_first_ranks_go_on():
    history = joined([recorded(0.0, 1), recorded(0.0, 1), recorded(0.0, 1)], [recorded(10.0, 1)])
    assert history.nodes == 3 and [r.steps for r in history.recorders] == [2, 1, 1]


def test_a_collective_that_a_failure_cut_short_is_not_taken_for_the_next_attempts():
    parts = [[recorded(0.0, 3), recorded(0.0, 2)], [recorded(10.0, 2), recorded(10.0, 2)]]
    spans, _ = joined(*parts)._path()
    met = [set(spans.start_s[spans.meetings == number]) for number in range(spans.meetings.max() + 1)]
    assert all(len(starts) == 1 for starts in met), "ranks met at one time"
    assert joined(*parts).critical_path()["end_s"].max() == 12.0


def test_a_message_of_one_attempt_is_not_received_in_another():
    parts = []
    for began in (0.0, 10.0):
        sender, receiver = Recorder(), Recorder()
        sender.span("send", began, began + 1, 1, 8)
        if began:
            receiver.span("recv", began, began + 1, 0, 8)
        parts.append([sender, receiver])
    spans, _ = joined(*parts)._path()
    (send,), (recv,) = spans.pairs
    assert spans.start_s[send] == spans.start_s[recv] == 10.0
