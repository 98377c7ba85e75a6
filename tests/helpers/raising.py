"""Errors as a notebook cell raises them, for tests of what a learner reads of them."""

import linecache


def raised(source, name="<cell>"):
    """The error of running ``source`` as a notebook cell would: from text that linecache knows."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        exec(compile(source, name, "exec"), {})
    except Exception as error:
        return error
    raise AssertionError("the source must raise")
