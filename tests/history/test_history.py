"""History: tables, saving and loading without pickles."""

import contextlib
import errno
import math
import os
import random
import zipfile

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.history import archive
from ddl_lab.history.attempts import Attempt
from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder


def made(results=()):
    recorders = [Recorder(), Recorder()]
    for rank, recorder in enumerate(recorders):
        recorder.span("wait", 0.5, 1.0 + rank, label="barrier")
        recorder.span("compute", 0.0, 0.5)
        recorder.row(0.5, {"loss": 2.0 - rank})
        recorder.row(0.9, {"loss": 1.0, "extra": 7})
        recorder.sent(100 * rank, rank)
    return History("virtual", recorders, list(results), {0: 1.25}, {"engine": "simulation"}, 0.5)


def test_metrics_and_spans_are_sorted_tables_with_the_contracts_columns():
    history = made()
    assert list(history.metrics.columns) == ["rank", "time_s", "step", "loss", "extra"]
    assert history.metrics[["rank", "step"]].values.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert math.isnan(history.metrics.extra[0])
    assert list(history.spans.columns) == ["rank", "kind", "start_s", "end_s", "peer", "bytes", "label"]
    assert history.spans.kind.tolist() == ["compute", "wait"] * 2
    assert history.bytes_sent == [0, 100] and history.messages_sent == [0, 1]


def test_elapsed_is_the_end_of_the_last_rank_even_if_it_has_not_returned():
    assert made().elapsed_s == 2.0
    done = made()
    done.finished_s.update({0: 1.25, 1: 5.0})
    assert done.elapsed_s == 5.0


def test_a_failure_is_the_end_of_a_history():
    history = made(["early", "late"])
    history.finished_s = {0: 0.5, 1: 2.0}
    history.fail(1.0)
    assert history.elapsed_s == history.failed_s == 1.0
    assert history.spans["end_s"].tolist() == [0.5, 1.0, 0.5], "rank 1 waited on, until it heard of it"
    assert history.finished_s == {0: 0.5} and history.results == ["early", None]


def test_a_failure_and_attempts_are_saved_and_loaded(tmp_path):
    history = made([0, 1])
    history.fail(1.0)
    history.attempts = [Attempt(2, 1, 0.7), Attempt(2, 0, 1.0)]
    loaded = History.load(history.save(tmp_path / "failed"))
    assert loaded.elapsed_s == 1.0 and loaded.attempts == history.attempts
    assert loaded.attempts[0].at_s == 0.7 and loaded.recorders[1].failures_s == (0.7,)


def test_tables_grow_with_the_recorders():
    history = made()
    before = len(history.metrics)
    history.recorders[0].row(3.0, {"loss": 0.1})
    assert len(history.metrics) == before + 1


def test_an_empty_history_has_empty_tables():
    history = History("wall", [Recorder()])
    assert len(history.metrics) == len(history.spans) == 0
    assert history.elapsed_s == 0.0


RESULTS = [
    None,
    True,
    3,
    2.5,
    "text",
    torch.arange(6).reshape(2, 3),
    torch.tensor(1.5, dtype=torch.bfloat16),
    {"a": [torch.ones(2), (1, 2)], 3: "x"},
]


@pytest.mark.parametrize("result", RESULTS, ids=str)
def test_what_is_saved_loads_equal(tmp_path, result):
    history = made([result, result])
    loaded = History.load(history.save(tmp_path / "run.npz"))
    assert loaded.metrics.equals(history.metrics) and loaded.spans.equals(history.spans)
    assert (loaded.clock, loaded.elapsed_s, loaded.about) == ("virtual", 2.0, {"engine": "simulation"})
    assert loaded.bytes_sent == history.bytes_sent
    assert same(loaded.results[1], result)


def same(a, b):
    if isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in b)
    if isinstance(b, list | tuple):
        return type(a) is type(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b and type(a) is type(b)


def test_results_that_cannot_be_saved_are_named_and_the_rest_is_kept(tmp_path):
    history = made([{"model": torch.nn.Linear(1, 1), "loss": 1.0}, 2])
    with pytest.warns(UserWarning, match=r"results\[0\]\['model'\] \(a Linear\)"):
        path = history.save(tmp_path / "run")
    assert path.name == "run.npz"
    loaded = History.load(path)
    assert loaded.results[0]["loss"] == 1.0 and "Linear" in loaded.results[0]["model"]


def test_loading_never_unpickles(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb()
    np.savez(tmp_path / "bomb.npz", meta=bomb, allow_pickle=True)
    with pytest.raises(ValueError, match="not a history"):
        History.load(tmp_path / "bomb.npz")
    assert not (tmp_path / "exploded").exists()


def test_a_file_with_any_byte_changed_loads_or_is_refused_in_words(tmp_path):
    path = made([torch.ones(2), {"a": (1, "x")}]).save(tmp_path / "run.npz")
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(200):
        bad = bytearray(whole)
        bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        path.write_bytes(bad)
        with contextlib.suppress(ValueError):
            History.load(path)


def test_a_file_whose_index_points_to_before_its_beginning_is_refused_in_words(tmp_path):
    path = made([1]).save(tmp_path / "run.npz")
    # the zip file's last record tells at its byte 16 where the index begins
    end = path.read_bytes().rindex(b"PK\x05\x06")
    with open(path, "r+b") as file:
        file.seek(end + 16)
        begins = int.from_bytes(file.read(4), "little")
        file.seek(end + 16)
        file.write((begins + 100_000).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="not a history saved by this package"):
        History.load(path)


def test_a_file_that_cannot_be_read_back_is_not_put_in_place(tmp_path, monkeypatch):
    def broken(node, arrays):
        raise ValueError("broken")

    monkeypatch.setattr(archive, "decode", broken)
    with pytest.raises(ValueError, match="broken"):
        made([1]).save(tmp_path / "run.npz")
    assert not list(tmp_path.iterdir())


def test_a_damaged_or_foreign_file_is_refused_in_words(tmp_path):
    path = made().save(tmp_path / "run.npz")
    path.write_bytes(path.read_bytes()[:200])
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, x=np.ones(3))
    for bad in (path, foreign):
        with pytest.raises(ValueError, match="not a history saved by this package"):
            History.load(bad)
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "absent.npz")


def test_a_full_disk_keeps_the_old_file_and_leaves_no_part(tmp_path, monkeypatch):
    path = made().save(tmp_path / "run.npz")
    old = path.read_bytes()

    def full(file, **_):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive.np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        made([1]).save(path)
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_the_saved_file_is_plain_arrays(tmp_path):
    path = made([torch.ones(2)]).save(tmp_path / "run.npz")
    with zipfile.ZipFile(path) as archive_file:
        for name in archive_file.namelist():
            head = archive_file.read(name)[:120]
            assert b"'descr': '|u1'" in head or b"'descr': '<i8'" in head, "no objects"


@pytest.mark.parametrize("engine", [lab.simulate, lambda w, n: lab.run(w, n, progress=False)])
def test_samples_are_counted_by_rank_where_the_worker_tells_them(engine):
    def worker(node):
        for _ in range(3):
            with node.compute(samples=8 + node.rank):
                pass
        with node.compute(seconds=0.01):
            pass

    history = engine(worker, 2)
    assert history.samples == [24, 27]
    assert history.samples_per_s == pytest.approx(51 / history.elapsed_s)


def test_samples_of_a_span_that_raised_do_not_count():
    def worker(node):
        with contextlib.suppress(RuntimeError), node.compute(samples=8):
            raise RuntimeError
        with node.compute(samples=0.5):
            pass

    assert lab.simulate(worker, 1).samples == [0.5]


def test_samples_are_saved_and_a_file_from_before_they_were_counted_loads(tmp_path, monkeypatch):
    history = made()
    history.recorders[1].samples = 7.0
    assert History.load(history.save(tmp_path / "new.npz")).samples == [0, 7]
    dumps = archive.json.dumps

    def without_samples(meta):
        nodes = [{k: v for k, v in node.items() if k != "samples"} for node in meta["nodes"]]
        return dumps(meta | {"nodes": nodes})

    monkeypatch.setattr(archive.json, "dumps", without_samples)
    old = History.load(history.save(tmp_path / "old.npz"))
    assert old.spans.equals(history.spans) and all(map(math.isnan, old.samples))


def test_a_real_run_saves_and_loads(tmp_path):
    def worker(node):
        node.record(loss=node.rank)
        return torch.full((3,), float(node.rank))

    history = lab.run(worker, 2, progress=False)
    loaded = lab.History.load(history.save(tmp_path / "run.npz"))
    assert loaded.clock == "wall" and loaded.startup_s == history.startup_s > 0
    assert torch.equal(loaded.results[1], torch.ones(3))
