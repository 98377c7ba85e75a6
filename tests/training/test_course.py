"""The course's own files are found in the repository and in a wheel; an untested torch is told."""

import warnings

import pytest
import torch

from ddl_lab.training import course

ASKED = ["numpy>=2.2", "torch<2.14,>=2.13", "sphinx>=8; extra == 'dev'"]


@pytest.mark.parametrize("version", ["2.12.1", "2.14.0+cu130", "3.0.0", "2.14.0.dev20260101"])
def test_an_untested_torch_is_told_with_the_mend(version):
    with pytest.warns(UserWarning, match=r"tested with torch<2.14,>=2.13, and this is torch .*pip install"):
        course.check_torch(version, ASKED)


@pytest.mark.parametrize("version", ["2.13.0", "2.13.0+cpu", "2.13.2"])
def test_a_tested_one_is_not(version):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        course.check_torch(version, ASKED)


def test_the_torch_of_this_environment_is_one_that_the_package_asks_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        course.check_torch(torch.__version__)


def test_without_git_and_without_a_wheel_a_fresh_copy_is_the_mend(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "_PACKAGE", tmp_path / "course/ddl_lab")
    assert course.mend("data/x.npz") == "take data/x.npz from a fresh copy of the course"
    assert course.folder("data") == tmp_path / "course/data"
