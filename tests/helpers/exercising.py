"""What tests of exercises are written with: right answers pass, wrong ones are refused by their name."""

from collections.abc import Callable
from typing import Any

import pytest

from ddl_lab.exercises.machine import Exercise

Answer = Callable[..., Any]


def said(exercise: Exercise, function: Answer) -> tuple[str, str]:
    """(verdict, text): "right", "not yet" or "not tried yet", and what the check says beside it."""
    verdict = exercise.judge(function)
    return verdict.state, verdict.text


def passes(exercise: Exercise, *answers: Answer) -> Callable[[Answer], None]:
    """A test that each of these answers is right: three at least, in other styles than the course's."""
    assert len(answers) >= 3, exercise.key

    @pytest.mark.parametrize("answer", answers, ids=lambda answer: answer.__name__)
    def test(answer: Answer) -> None:
        assert said(exercise, answer)[0] == "right", said(exercise, answer)[1]

    return test


def refused(exercise: Exercise, *mistakes: tuple[Answer, str]) -> Callable[[Answer, str], None]:
    """A test that each wrong answer hears the words that are meant for it: four at least."""
    assert len(mistakes) >= 4, exercise.key

    @pytest.mark.parametrize(("answer", "words"), mistakes, ids=[words[:40] for _, words in mistakes])
    def test(answer: Answer, words: str) -> None:
        state, text = said(exercise, answer)
        assert state == "not yet" and words in text, (state, text)

    return test
