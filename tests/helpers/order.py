"""In which order files of tests run: those that take long first, so that none is left over at the end.

``make test`` lets several run side by side, a file on one worker. Two files at the end of which one takes
a minute would leave the other's worker with nothing to do.
"""

from pathlib import PurePath

LONGEST = (  # by how long they take alone, the longest first; a file that isn't named comes after them
    "tests/classroom/test_nbgrader.py",
    "tests/classroom/test_hub.py",
    "tests/notebook/test_browser.py",
    "labs/",
    "tests/processes/",
    "tests/notebook/",
    "tests/classroom/",
    "tests/exercises/",
)


def place(path: PurePath) -> int:
    """Of a file, by its path from the course's folder: where it stands; equal ones stay as they were."""
    name = path.as_posix()
    found = (number for number, beginning in enumerate(LONGEST) if name.startswith(beginning))
    return next(found, len(LONGEST))
