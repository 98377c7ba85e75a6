"""The digits: what they are, where they come from, and what a broken file says."""

import hashlib
import os
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ddl_lab.training import data
from ddl_lab.training.data import DataError, load_digits, rewrap, shared_name, shared_storage

ROOT = Path(__file__).parents[2]
FILE = ROOT / "data" / "digits.npz"


def in_fresh_process(code: str, **environ: str) -> str:
    """Return what ``code`` prints in a Python that has loaded nothing yet."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_split_has_the_shapes_types_and_ranges_that_the_contract_names():
    digits = load_digits()
    for split, samples in ((digits.train, 4000), (digits.test, 1000)):
        assert (split.x.shape, split.x.dtype) == ((samples, 784), torch.float32)
        assert (split.y.shape, split.y.dtype) == ((samples, 1), torch.float32)
        assert (split.labels.shape, split.labels.dtype) == ((samples,), torch.int64)
        assert len(split) == samples
        assert (split.x.min().item(), split.x.max().item()) == (0.0, 1.0)


def test_y_is_one_for_odd_digits_and_zero_for_even_ones():
    for split in (load_digits().train, load_digits().test):
        assert [int(odd) for odd in split.y[:, 0]] == [digit % 2 for digit in split.labels.tolist()]


def test_every_digit_is_equally_frequent_in_both_splits():
    digits = load_digits()
    assert digits.train.labels.bincount().tolist() == [400] * 10
    assert digits.test.labels.bincount().tolist() == [100] * 10


def test_the_two_splits_are_the_file_each_image_once():
    digits = load_digits()
    with np.load(FILE) as arrays:
        images = arrays["images"].reshape(5000, 784)
        expected = sorted(zip(map(bytes, images), arrays["labels"].tolist(), strict=True))
    found = []
    for split in (digits.train, digits.test):
        pixels = (split.x * 255).round().to(torch.uint8).numpy()
        found += zip(map(bytes, pixels), split.labels.tolist(), strict=True)
    assert sorted(found) == expected


def test_the_split_never_changes():
    digits = load_digits()
    assert digits.train.labels[:10].tolist() == [6, 0, 5, 4, 9, 9, 8, 3, 1, 2]
    assert digits.test.labels[:10].tolist() == [6, 3, 0, 8, 8, 3, 0, 0, 7, 8]


def test_loading_twice_gives_the_same_copy():
    assert load_digits() is load_digits()


def test_loading_leaves_the_global_random_states_alone(monkeypatch):
    monkeypatch.setattr(data.shared, "share", lambda name, values, *made_by: values)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    data._digits.__wrapped__()
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_rows_start_on_multiples_of_64_bytes():
    digits = load_digits()
    for tensor in (digits.train.x, digits.train.y, digits.test.x, digits.test.labels):
        assert tensor.data_ptr() % 64 == 0


def test_the_folder_can_be_named_in_the_environment(tmp_path):
    (tmp_path / "digits.npz").write_bytes(FILE.read_bytes())
    code = "from ddl_lab.training.data import load_digits; print(len(load_digits().train))"
    assert in_fresh_process(code, DDL_LAB_DATA=str(tmp_path)).strip() == "4000"


def test_a_missing_file_is_named_with_the_mend(tmp_path):
    code = (
        "from ddl_lab.training.data import DataError, load_digits\n"
        "try: load_digits()\nexcept DataError as error: print(error)"
    )
    message = in_fresh_process(code, DDL_LAB_DATA=str(tmp_path))
    assert str(tmp_path / "digits.npz") in message
    assert "is missing" in message
    assert "git checkout -- data/digits.npz" in message


@pytest.mark.parametrize("harm", ["one bit", "cut short", "empty", "a pickle"])
def test_a_damaged_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch, harm):
    content = bytearray(FILE.read_bytes())
    content[1000] ^= 1
    harmed = {
        "one bit": bytes(content),
        "cut short": FILE.read_bytes()[:-1],
        "empty": b"",
        "a pickle": pickle.dumps({"images": 0}),
    }[harm]
    path = tmp_path / "digits.npz"
    path.write_bytes(harmed)
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: pytest.fail("parsed all the same"))
    with pytest.raises(DataError, match="is damaged") as caught:
        data._read(path)
    assert str(path) in str(caught.value)
    assert hashlib.sha256(harmed).hexdigest() in str(caught.value)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "digits.npz").mkdir()
    with pytest.raises(DataError, match="can't be read"):
        data._read(tmp_path / "digits.npz")


def test_the_readme_names_the_check_sum_of_the_file():
    assert data.DIGITS_SHA256 in (ROOT / "data" / "README.md").read_text()


def test_making_the_file_is_reproducible(tmp_path):
    make = runpy.run_path(str(ROOT / "data" / "make_digits.py"))
    with np.load(FILE) as arrays:
        content = dict(arrays)
    for name in ("one.npz", "two.npz"):
        make["write_npz"](tmp_path / name, content)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as arrays:
        assert all(np.array_equal(arrays[name], content[name]) for name in content)


def test_each_storage_has_a_name_and_each_name_leads_back_to_it():
    digits = load_digits()
    for split in ("train", "test"):
        for field in ("x", "y", "labels"):
            address = getattr(getattr(digits, split), field).untyped_storage().data_ptr()
            again = shared_storage(f"digits/{split}.{field}").data_ptr()
            assert shared_name(address) == f"digits/{split}.{field}"
            assert again == address
    assert shared_name(torch.zeros(3).untyped_storage().data_ptr()) is None


def test_an_unknown_name_is_refused():
    with pytest.raises(DataError, match=r"no shared data called 'digits/train\.z'"):
        shared_storage("digits/train.z")


def test_a_view_is_rebuilt_from_its_name_and_place():
    view = load_digits().train.x[3:9:2, 100:110]
    again = rewrap("digits/train.x", tuple(view.shape), view.stride(), view.storage_offset(), view.dtype)
    assert again.data_ptr() == view.data_ptr()
    assert torch.equal(again, view)
    with pytest.raises(RuntimeError, match="read-only"):
        again.zero_()


def test_a_fresh_process_rebuilds_a_pickled_view_by_loading_the_data_itself(tmp_path):
    view = load_digits().test.x[7]
    (tmp_path / "view").write_bytes(pickle.dumps(view))
    assert (tmp_path / "view").stat().st_size < 300
    code = f"import pickle; print(pickle.load(open({str(tmp_path / 'view')!r}, 'rb')).sum().item())"
    assert float(in_fresh_process(code)) == view.sum().item()


def test_of_ten_classes_the_target_is_the_label_itself_and_all_else_the_same():
    two, ten = load_digits(), load_digits(classes=10)
    for split, other in ((ten.train, two.train), (ten.test, two.test)):
        assert split.y is other.labels is split.labels
        assert split.x is other.x
    assert load_digits(classes=10) is ten
    with pytest.raises(ValueError, match=r"classes=3: take 2 .* or 10"):
        load_digits(classes=3)
