"""How a folded answer reads: as a learner would write it in a notebook."""

import ddl_lab as lab
from ddl_lab import simulate
from ddl_lab.exercises.texts import source_of


def _answer(gradient, steps: int = 2) -> float:
    simulate(lambda node: None, 1)
    return sum(gradient(k) for k in range(steps))


def test_an_argument_named_as_one_of_the_courses_functions_stays_the_learners():
    assert "gradient" in lab.__all__ and "simulate" in lab.__all__
    text = source_of(_answer)
    assert "gradient(k)" in text and "lab.gradient" not in text
    assert "    lab.simulate(lambda" in text
    assert text.startswith("def answer(gradient, steps=2):")
