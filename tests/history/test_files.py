"""A file appears whole or not at all, with the mode that was asked for."""

import errno
import os

import pytest

from ddl_lab.history.files import whole_file


def test_what_breaks_off_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "notes"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), whole_file(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_names_the_file(tmp_path):
    path = tmp_path / "notes"
    with pytest.raises(OSError, match="No space left") as raised, whole_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.filename == str(path) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mode", "umask", "found"), [(0o666, 0o022, 0o644), (0o600, 0o022, 0o600)])
def test_its_mode_is_as_asked_less_what_the_umask_denies(tmp_path, mode, umask, found):
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "notes", mode) as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "notes").read_bytes() == b"new"
    assert (tmp_path / "notes").stat().st_mode & 0o777 == found
