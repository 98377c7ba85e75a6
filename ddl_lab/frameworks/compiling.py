"""Compile Horovod for the torch of this environment, and install it: run by that environment's own Python.

    python compiling.py VERSION FOLDER

Its last release is older than the torch that it meets here. Two lines of its build are changed: torch's
headers ask for C++17, and a constant of gloo is then defined in two places.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

CHANGES = {
    "horovod/torch/CMakeLists.txt": ("set(CMAKE_CXX_STANDARD 14)", "set(CMAKE_CXX_STANDARD 17)"),
    "CMakeLists.txt": ("-Wl,--version-script=", "-Wl,-z,muldefs -Wl,--version-script="),
}
CHOSEN = {
    "HOROVOD_WITH_PYTORCH": "1",
    "HOROVOD_WITHOUT_TENSORFLOW": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_WITHOUT_MPI": "1",
}


def main(version: str, folder: Path) -> None:
    """Fetch the source, change it, build a wheel, install that."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    source = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", f"horovod=={version}"]
    subprocess.run([*pip, "download", "-d", str(folder), *source], check=True)
    with tarfile.open(folder / f"horovod-{version}.tar.gz") as packed:
        packed.extractall(folder, filter="data")
    unpacked = folder / f"horovod-{version}"
    for name, (old, new) in CHANGES.items():
        text = (unpacked / name).read_text()
        if old not in text:
            sys.exit(f"{name} of Horovod {version} has no {old!r} to change")
        (unpacked / name).write_text(text.replace(old, new))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    build = [sys.executable, "setup.py", "-q", "bdist_wheel", "-d", str(folder)]
    subprocess.run(build, cwd=unpacked, env={**os.environ, **CHOSEN, "PATH": path}, check=True)
    (wheel,) = folder.glob("horovod-*.whl")
    subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
