"""Lines of a traceback: those of the learner, and of a package's strategy where there are none."""

from raising import raised

from ddl_lab import counted
from ddl_lab.travel.frames import PACKAGE, learner_frames


def test_frames_of_libraries_and_of_the_package_are_left_out():
    error = raised("import json\njson.loads('{')\n", "cell-8")
    assert [frame.file for frame in learner_frames(error.__traceback__) if "json" in frame.file] == []
    assert learner_frames(error.__traceback__)[-1].file == "cell-8"


def test_the_packages_folder_is_the_whole_package():
    assert counted.__file__.startswith(PACKAGE) and not __file__.startswith(PACKAGE)
