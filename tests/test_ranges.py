"""Refusals of the cost model name the field, the value, the range and the mend."""

import numpy as np
import pytest

from ddl_lab import ranges


@pytest.mark.parametrize("value", [1, 0.5, np.float32(2.0), np.int64(3)])
def test_numbers_of_any_kind_pass(value):
    ranges.check_number("speed", value, "samples/s")
    ranges.check_number("speed", value, least=0.5)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "3", None, 1j])
def test_what_is_no_finite_number_above_zero_is_refused(value):
    with pytest.raises(ValueError, match=r"^speed=.*: it takes a finite number above 0 samples/s\.$"):
        ranges.check_number("speed", value, "samples/s")


def test_a_least_value_is_allowed_and_nothing_below_it():
    ranges.check_number("latency", 0, least=0)
    with pytest.raises(ValueError, match=r"^latency=-1e-09: it takes a finite number 0 or more seconds\.$"):
        ranges.check_number("latency", -1e-9, "seconds", least=0)


def test_ranks_are_whole_numbers_of_the_nodes():
    ranges.check_by_rank("slow", {0: 1.0, 3: 2.0}, "factors", "{3: 4.0}")
    ranges.check_ranks("slow", {0: 1.0, 3: 2.0}, 4)
    with pytest.raises(ValueError, match="slow names rank 3: ranks of 3 nodes are 0 to 2"):
        ranges.check_ranks("slow", {0: 1.0, 3: 2.0}, 3)


def test_choices_are_listed():
    ranges.check_choice("jitter", "a", ("a", "b"))
    with pytest.raises(ValueError, match="jitter='c': choose one of a, b"):
        ranges.check_choice("jitter", "c", ("a", "b"))
