"""Numbers as they are typed and shown."""

import math

import pytest

from ddl_lab.learner.numbers import amount, number


@pytest.mark.parametrize(
    ("typed", "unit", "expected"),
    [
        ("12", "", 12), ("1e-3", "", 1e-3), ("-.5", "", -0.5), ("5.", "s", 5), (" 7 \n", "", 7),
        ("12 %", "%", 12), ("12%", "", 0.12), ("12 %", "ms", 0.12), ("0.3 ms", "ms", 0.3),
        ("1/8", "", 0.125), ("2^10", "", 1024), ("2**-3", "", 0.125), ("10^9 bytes/s", "bytes/s", 1e9),
        ("−3", "", -3), ("1.5×10^-3", "s", 1.5e-3), ("1E6", "", 1e6), (4, "", 4), (0.25, "%", 0.25),
        ("ln 2", "nats", math.log(2)), ("ln(2) nats", "nats", math.log(2)), ("-ln2", "", -math.log(2)),
        ("2 ln 2", "", 2 * math.log(2)), ("ln 2 / 3", "", math.log(2) / 3), ("2/3", "", 2 / 3),
        ("1e-7", "", 1e-7),
        ("10%", "nats", 0.1), ("sqrt 2", "", math.sqrt(2)), ("√2/2", "", math.sqrt(2) / 2), ("3 × 4", "", 12),
        ("inf", "units", math.inf), ("-inf", "", -math.inf), ("∞ units", "units", math.inf),
        ("infinite", "", math.inf),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(typed, unit, expected):
    assert number(typed, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "many",
        "1/0",
        "1e999",
        "nan",
        "infty",
        "1 2",
        "ln 0",
        "ln -1",
        "sqrt",
        "ln",
        "1/0",
        "(-8)^.5",
        "__import__",
        "1//2",
    ],
)
def test_what_is_no_number_is_refused_in_a_sentence(typed):
    with pytest.raises(ValueError, match=r"is no number here: type one such as 12, 0\.05, 1e-3, 1/3 or ln 2"):
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
