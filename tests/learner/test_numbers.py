"""Numbers as they are typed, shown and judged."""

import pytest

from ddl_lab.learner.numbers import amount, number, verdict


@pytest.mark.parametrize(
    ("typed", "unit", "expected"),
    [
        ("12", "", 12), ("1e-3", "", 1e-3), ("-.5", "", -0.5), ("5.", "s", 5), (" 7 \n", "", 7),
        ("12 %", "%", 12), ("12%", "", 0.12), ("12 %", "ms", 0.12), ("0.3 ms", "ms", 0.3),
        ("1/8", "", 0.125), ("2^10", "", 1024), ("2**-3", "", 0.125), ("10^9 bytes/s", "bytes/s", 1e9),
        ("−3", "", -3), ("1.5×10^-3", "s", 1.5e-3), ("1E6", "", 1e6), (4, "", 4), (0.25, "%", 0.25),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(typed, unit, expected):
    assert number(typed, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    "typed", ["", "many", "1/0", "1e999", "nan", "inf", "1 2", "(-8)^.5", "__import__", "1//2"]
)
def test_what_is_no_number_is_refused_in_a_sentence(typed):
    with pytest.raises(ValueError, match=r"is no number here: type one such as 12, 0\.05, 1e-3 or 1/3"):
        number(typed)


def test_a_comma_for_a_point_is_told():
    with pytest.raises(ValueError, match=r"Write a point for the decimals, as in 0\.5"):
        number("0,5")


def test_a_huge_power_costs_no_time():
    with pytest.raises(ValueError):
        number("9^999999999")


def test_amounts_have_four_digits_and_their_unit():
    assert amount(0.0312512, "s") == "0.03125 s"
    assert amount(12, "%") == "12 %" and amount(3.0) == "3"


@pytest.mark.parametrize(
    ("predicted", "measured", "words"),
    [
        (0.0, 0.0, "exact"), (3, 3, "exact"),
        (1, 1.05, "very near"), (1.05, 1, "very near"),
        (1, 1.6, "within a factor of 1.6"), (1.6, 1, "within a factor of 1.6"), (4, 5, "a factor of 1.25"),
        (1, 40, "off by a factor of 40"), (40, 1, "off by a factor of 40"),
        (0, 3, "zero or infinite"), (3, 0, "zero or infinite"), (3, float("inf"), "zero or infinite"),
        (3, float("nan"), "zero or infinite"), (-2, 2, "of the other sign"),
    ],
)  # fmt: skip
def test_a_verdict_tells_the_distance_the_same_way_in_both_directions(predicted, measured, words):
    assert words in verdict(predicted, measured)
