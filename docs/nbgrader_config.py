"""nbgrader for the labs: docs/classroom.md explains it, tests/classroom/test_nbgrader.py runs it.

Copy it into the folder of your course as ``nbgrader_config.py``. The labs hold no answers and carry
nbgrader's metadata already, so a lab is an assignment's source as it is.
"""

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.course_id = "ddl_lab"

# what a learner's lines stand between in an exercise, and what a release puts there
c.ClearSolutions.begin_solution_delimeter = "your lines from here"
c.ClearSolutions.end_solution_delimeter = "to here"
c.ClearSolutions.code_stub = {"python": "# your lines from here\n...\n# to here"}

c.ExecutePreprocessor.timeout = 120  # seconds a cell
c.ExecutePreprocessor.allow_errors = True  # each lab raises once on purpose; a wrong answer raises too
