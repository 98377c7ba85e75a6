"""Whether predictions got better: two halves, between labs, and what chance would do."""

import random

import pytest

from ddl_lab.learner.better import better, off, told


def spread(middle, count, seed):
    """Dots that are off by about ``middle``, on both sides of right."""
    drawn = random.Random(seed)
    return [(middle * drawn.uniform(0.8, 1.25)) ** drawn.choice((-1, 1)) for _ in range(count)]


def test_off_is_the_same_on_both_sides_of_right():
    assert off(0.5) == off(2.0) == 2 and off(1.0) == 1


def test_it_says_that_they_got_better_where_chance_would_hardly_do_it():
    trend = better({"00": spread(4, 8, 0), "05": spread(4, 4, 1), "16": spread(1.3, 12, 2)})
    assert (trend.earlier, trend.later, trend.counts) == (("00", "05"), ("16",), (12, 12))
    assert 3 < trend.earlier_off < 5 and 1 < trend.later_off < 1.7 and trend.by_chance < 0.01
    assert str(trend).startswith("Predictions of labs 00 to 05 were off by a factor of")
    assert "those of lab 16 by" in str(trend) and "less than 1 of 100 differ as much: they got better" in str(
        trend
    )


def test_it_says_so_where_they_got_worse():
    words = str(better({"00": spread(1.3, 12, 0), "16": spread(4, 12, 2)}))
    assert "they got worse, or the questions got harder" in words


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_called_no_change(seed):
    dots = spread(2, 20, seed)
    assert "that tells of no change, for better or worse" in str(better({"00": dots[:10], "16": dots[10:]}))


def test_one_in_twenty_orders_is_taken_for_a_change_at_most():
    fired = sum(
        "no change" not in str(better({"00": (dots := spread(3, 16, seed))[:8], "16": dots[8:]}))
        for seed in range(100)
    )
    assert fired <= 10


def test_the_cut_lies_between_labs_as_near_the_middle_as_can_be():
    trend = better({"00": [1.0] * 3, "01": [2.0] * 4, "02": [2.0] * 2, "03": [3.0]})
    assert trend.earlier == ("00", "01") or trend.counts == (3, 7)
    assert trend.counts in ((7, 3), (3, 7))


@pytest.mark.parametrize(
    ("by_lab", "there"),
    [
        ({}, "there are none, of 0 labs"),
        ({"00": [2.0]}, "there is 1, of 1 lab"),
        ({"00": [2.0] * 3, "01": [2.0] * 4}, "there are 7, of 2 labs"),
        ({"00": [2.0] * 30}, "there are 30, of 1 lab"),
        ({"00": [2.0] * 30, "01": [1.0]}, "there are 31, of 2 labs"),
    ],
)
def test_too_few_are_told_as_such(by_lab, there):
    assert better(by_lab) is None
    assert "can't be told" in told(by_lab) and there in told(by_lab)


def test_all_right_is_no_change():
    assert "no change" in told({"00": [1.0] * 5, "01": [1.0] * 5})


def test_the_same_file_gives_the_same_words():
    dots = {"00": spread(3, 9, 4), "16": spread(2, 9, 5)}
    assert told(dots) == told(dict(reversed(dots.items())))
