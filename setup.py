"""What pyproject.toml can't say: a wheel carries the labs, without outputs, and the data."""

import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
COURSE = Path("ddl_lab") / "course"  # ddl_lab/training/course.py looks there
CARRIED = ("data/*.npz", "data/*.csv", "data/*.json", "data/*.md", "data/sweeps/*.csv")


class WithCourse(build_py):
    """The package's modules, and beside them what the course brings."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # the repository itself is there
        target = Path(self.build_lib) / COURSE
        shutil.rmtree(target, ignore_errors=True)
        stripped = runpy.run_path(str(ROOT / "ddl_lab" / "learner" / "stripped.py"))["without_outputs"]
        for lab in sorted((ROOT / "labs").glob("*.ipynb")):
            self.put(target / "labs" / lab.name, stripped(lab).encode())
        for pattern in CARRIED:
            for file in sorted(ROOT.glob(pattern)):
                self.put(target / file.relative_to(ROOT), file.read_bytes())

    def put(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


setup(cmdclass={"build_py": WithCourse})
