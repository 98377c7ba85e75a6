"""How near a prediction came, in words and as a dot, by what its question counts as right."""

import math

import pytest

import ddl_lab as lab
from ddl_lab.learner.near import FARTHEST, Near, dot_of

RATIO, SAME = Near(), lab.within(0)
INF = math.inf


@pytest.mark.parametrize(
    ("predicted", "measured", "words"),
    [
        (0.0, 0.0, "exact"), (3, 3, "exact"), (INF, INF, "exact"),
        (1, 1.05, "very near"), (1.05, 1, "very near"),
        (1, 1.6, "near: within a factor of 1.6"), (1.6, 1, "within a factor of 1.6"),
        (4, 5, "a factor of 1.25"),
        (1, 40, "off by a factor of 40"), (40, 1, "off by a factor of 40"),
        (0, 3, "0 was predicted, and 3 is not 0"), (3, 0, "0 was measured, and 3 is not 0"),
        (3, INF, "one of the two is infinite"), (INF, 3, "one of the two is infinite"),
        (-INF, INF, "one of the two is infinite"), (3, math.nan, "no number"), (-2, 2, "of the other sign"),
    ],
)  # fmt: skip
def test_unless_told_the_ratio_decides_the_same_way_in_both_directions(predicted, measured, words):
    assert words in RATIO.judge(predicted, measured).words


@pytest.mark.parametrize(
    ("near", "predicted", "measured", "words"),
    [
        (lab.within(1e-6), 1e-7, 4e-8, "right: no more than 1e-06 apart"),       # a rounding error
        (lab.within(1e-6), 0, 4e-8, "right: no more than"),
        (lab.within(1e-6), 1e-3, 4e-8, "0.001 apart: worth finding out why"),
        (lab.within(0.05), 0, -0.03, "right: no more than 0.05 apart"),          # a cosine
        (lab.within(0.05), 0.3, 0.25, "right: no more than"),                    # to the limit, in floats
        (lab.within(0.05), 1, -0.03, "1.03 apart"),
        (lab.within(0.05), INF, 0.0, "one of the two is infinite"),
        (SAME, 4, 5, "1 apart"), (SAME, 5, 5, "exact"),                          # a count
        (lab.within(factor=10), 2, 15, "right: within a factor of 10"),          # an order of magnitude
        (lab.within(factor=10), 15, 1, "off by a factor of 15"),
        (lab.within(factor=10), 0, 1, "0 was predicted, and 1 is not 0"),
    ],
)  # fmt: skip
def test_a_question_says_what_counts_as_right(near, predicted, measured, words):
    assert words in near.judge(predicted, measured).words


def test_distances_are_told_in_the_questions_unit():
    assert lab.within(5).judge(20, 60, "%").words == "40 % apart: worth finding out why"


@pytest.mark.parametrize("near", [RATIO, SAME, lab.within(factor=1.5)])
def test_in_a_tie_every_value_is_right(near):
    assert near.judge(32, 16, "nodes", also=(32,)) == ("right: 32 nodes does as well", 1.0)
    assert near.judge(16, 16, "nodes", also=(32,)) == ("exact", 1.0)


@pytest.mark.parametrize(
    ("near", "predicted", "measured", "dot"),
    [
        (RATIO, 2, 3, 1.5), (RATIO, 3, 3, 1), (RATIO, 0, 0, 1), (RATIO, INF, INF, 1),
        (RATIO, 1e-7, 0, 1 / FARTHEST), (RATIO, 0, 1e-7, FARTHEST), (RATIO, -2, 2, FARTHEST),
        (RATIO, 2, INF, FARTHEST), (RATIO, INF, 2, 1 / FARTHEST), (RATIO, 1, 1e9, FARTHEST),
        (lab.within(0.05), 0, -0.03, 1), (lab.within(0.05), 1, -0.03, 1 / FARTHEST), (SAME, 4, 5, 1.25),
    ],
)  # fmt: skip
def test_every_verdict_has_a_dot_on_a_scale_of_ratios(near, predicted, measured, dot):
    assert near.judge(predicted, measured).dot == dot


def test_a_dot_is_never_beyond_the_scale():
    assert dot_of(1e-300, 1e300) == FARTHEST and dot_of(1e300, 1e-300) == 1 / FARTHEST


@pytest.mark.parametrize(
    "told",
    [{}, {"distance": 1, "factor": 2}, {"distance": -1}, {"factor": 0.5}, {"distance": INF}, {"factor": INF}],
)
def test_what_within_cannot_mean_is_refused_in_a_sentence(told):
    with pytest.raises(ValueError, match="within takes a"):
        lab.within(**told)
