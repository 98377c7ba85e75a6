"""The bubble's share."""

from fractions import Fraction

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_08 as exercise
from ddl_lab.strategies import schedules
from ddl_lab.strategies.playing import play


def one_less_the_work(stages, micros):
    return 1 - micros / (micros + stages - 1)


def of_fractions(stages, micros):
    return Fraction(stages - 1, micros + stages - 1)


def by_slots(stages, micros):
    idle = torch.ones(stages, micros + stages - 1)
    for stage in range(stages):
        idle[stage, stage : stage + micros] = 0
    return idle.double().mean()


def by_playing_gpipe(stages, micros):
    orders = [schedules.gpipe(stage, stages, micros) for stage in range(stages)]
    made = [[schedules.Step(kind, s, k) for kind, k in order] for s, order in enumerate(orders)]
    return 1 - 3 * micros / play(schedules.with_messages(made)).elapsed_s


test_any_style_passes = passes(exercise.bubble, one_less_the_work, of_fractions, by_slots, by_playing_gpipe)

test_a_mistake_is_named = refused(
    exercise.bubble,
    (lambda stages, micros: (stages - 1) / micros, "over the time of the work"),
    (lambda stages, micros: micros / (micros + stages - 1), "in which nodes compute"),
    (lambda stages, micros: stages / (micros + stages), "passes stages − 1 others"),
    (lambda stages, micros: (stages - 1) / stages, "in one piece"),
    (lambda stages, micros: 0.5, "the bubble's share of the total"),
    (lambda stages, micros: "none", "a number was asked"),
    (lambda p, m: 2 * (p - 1) / (m + p - 1), "2(p − 1) slots are idle of 2(m + p − 1)"),
    (lambda p, m: 2 * (p - 1) / (m + 2 * (p - 1)), "2(p − 1) slots are idle of 2(m + p − 1)"),
    (lambda p, m: (p - 1) / (2 * m + p - 1), "2(p − 1) slots are idle of 2(m + p − 1)"),
    (lambda p, m: 100 * (p - 1) / (m + p - 1), "in percent"),
)
