"""A folder that an instructor fills and learners only read: they run what is there, and change nothing."""

import os

import pytest
from beside import hidden, mpi, place  # noqa: F401  (fixtures)
from other_user import NOBODY, as_nobody  # noqa: F401

from ddl_lab.frameworks.environments import ENVIRONMENTS

LEARNER = """
import os
import ddl_lab as lab

def tried(deed):
    try:
        return deed()
    except lab.LabError as error:
        return f"{type(error).__name__}: {error}"

mpi, dask = lab.frameworks.mpi, lab.frameworks.dask
print(os.getuid(), mpi.installed, dask.installed)
mpi.install()
history = mpi.run(2, progress=False)
print(history.nodes, max(history.about["differences"]) < 1e-6)
print(tried(mpi.remove))
print(tried(lambda: dask.install(ask=False)))
"""


@pytest.fixture
def shared(mpi, as_nobody, tmp_path, monkeypatch):  # noqa: F811
    """A folder of root's with MPI in it, and nothing else."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    (folder / "mpi").symlink_to(ENVIRONMENTS["mpi"].folder)
    monkeypatch.setenv("DDL_LAB_FRAMEWORKS", str(folder))
    return folder


def test_a_learner_runs_what_is_in_the_shared_folder_and_may_neither_add_nor_remove(shared, as_nobody):  # noqa: F811
    stamp = (shared / "mpi" / ".ready").stat().st_mtime_ns
    told = as_nobody(LEARNER).splitlines()
    only_read = f"CantInstall: {shared} is a shared folder that you only read: ask who looks after it for"
    assert told[0] == f"{NOBODY} True False"
    assert told[1:3] == ["MPI (mpi4py, MPICH) is installed.", "2 True"]
    assert told[3].startswith(f"{only_read} mpi") and told[4].startswith(f"{only_read} dask")
    assert (shared / "mpi" / ".ready").stat().st_mtime_ns == stamp and os.listdir(shared) == ["mpi"]


def test_all_of_an_environment_may_be_read_by_others(mpi):  # noqa: F811
    assert hidden(ENVIRONMENTS["mpi"].folder) == []
