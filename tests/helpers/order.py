"""In which order files of tests run: those that take long first, so that none is left over at the end.

``make test`` lets several run side by side, a file on one worker. Two files at the end of which one takes
a minute would leave the other's worker with nothing to do.
"""

from pathlib import PurePath

LONGEST = (  # how names begin; a file that isn't among them comes after
    "tests/classroom/test_nbgrader.py",  # makes the classroom's environment, which test_hub.py waits for
    "tests/notebook/",
    "tests/book/",
    "labs/",
    "tests/classroom/",
    "tests/processes/",
    "tests/exercises/",
)


def place(path: PurePath) -> int:
    """Of a file, by its path from the course's folder: where it stands; equal ones stay as they were."""
    name = path.as_posix()
    found = (number for number, beginning in enumerate(LONGEST) if name.startswith(beginning))
    return next(found, len(LONGEST))
