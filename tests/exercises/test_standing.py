"""`lab.progress`: exercises of all labs with their states, predictions with their ratios."""

import pytest

import ddl_lab as lab
from ddl_lab.exercises import standing
from ddl_lab.learner.file import LearnerFile
from ddl_lab.plots.standing import Mark
from ddl_lab.plots.standing import standing as figure


@pytest.fixture
def desk(tmp_path, monkeypatch):
    found = LearnerFile(tmp_path)
    monkeypatch.setattr(standing, "current", lambda: found)
    return found


def bars(canvas):
    """(row, left, right, colour) of the exercises; the last bars are the legend's."""
    found, named = [], len(canvas.axes[0].get_legend().get_texts())
    for bar in canvas.axes[0].patches[:-named]:
        box = bar.get_bbox()
        found.append((round(box.y0 + 0.31), box.x0, box.x1, bar.get_facecolor()))
    return found


def dots(canvas):
    """The ratios drawn, by row."""
    lines = [line for line in canvas.axes[1].lines if line.get_marker() == "o"]
    return {line.get_ydata()[0]: list(line.get_xdata()) for line in lines}


def test_every_exercise_is_a_bar_as_long_as_its_minutes_coloured_by_its_state():
    marks = [
        Mark("00", "right", 1, 3),
        Mark("03", "tried", 2, 5),
        Mark("00", "open", 3, 10),
        Mark("03", "right", 2, 4),
    ]
    canvas = figure(marks, {}, "what is done")
    first, second, third, fourth = bars(canvas)
    assert [bar[0] for bar in (first, second, third, fourth)] == [0, 1, 0, 1]
    assert first[1:3] == pytest.approx((0, 2.6)) and third[1:3] == pytest.approx((3, 12.6))
    assert first[3] == fourth[3] != second[3] != third[3]
    assert third[3][3] == 0, "open ones are hollow"
    assert [text.get_text() for text in canvas.axes[0].texts] == ["1", "2", "3", "2"]
    assert [label.get_text() for label in canvas.axes[0].get_yticklabels()] == ["lab 00", "lab 03"]


def test_the_legend_names_the_states_that_occur():
    canvas = figure([Mark("00", "open", 1, 3), Mark("00", "right", 1, 3)], {}, "what is done")
    assert [text.get_text() for text in canvas.axes[0].get_legend().get_texts()] == ["right", "open"]


def test_predictions_are_dots_at_their_ratio_in_their_labs_row_and_all_are_in_sight():
    canvas = figure([Mark("00", "open", 1, 3)], {"00": [1.0, 0.5], "07": [400.0]}, "what is done")
    assert dots(canvas) == {0: [1.0, 0.5], 1: [400.0]}
    low, high = canvas.axes[1].get_xlim()
    assert low < 1 / 400 and high > 400
    assert canvas.axes[1].get_xscale() == "log"


def test_with_nothing_done_and_nothing_to_do_it_still_draws():
    assert figure([], {}, "what is done").png().startswith(b"\x89PNG")


def test_progress_shows_the_figure_and_counts_in_words(desk, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    one, two, *rest = standing.all_exercises()
    desk.note("exercises", one.key, tried=True, done=True)
    desk.note("exercises", two.key, tried=True)
    desk.note("predictions", "03.a", value=2.0, measured=3.0)
    desk.note("predictions", "03.b", value=2.0)
    lab.progress()
    text = capsys.readouterr().out
    assert text == (
        f"1 of {len(rest) + 2} exercises right, 1 more tried; 2 predictions written, 1 of them beside "
        "its result.\n"
    )
    (canvas,) = shown
    assert len(bars(canvas)) == len(rest) + 2
    assert list(dots(canvas).values()) == [[1.5]]


@pytest.mark.parametrize(
    "known",
    [
        {"value": 1.0},
        {"measured": 1.0},
        {"value": "1", "measured": 1.0},
        {"value": 1.0, "measured": float("nan")},
        {"value": 1.0, "measured": 1.0, "late": True},
    ],
)
def test_what_is_no_prediction_beside_a_result_has_no_dot(known):
    assert standing.dots_of({"exercises": {}, "predictions": {"03.a": known}}) == {}


@pytest.mark.parametrize(
    ("known", "dot"),
    [
        ({"value": 2.0, "measured": 3.0}, 1.5),
        ({"value": 0.0, "measured": 0.0}, 1),
        ({"value": 1e-7, "measured": 0.0}, 0.001),
        ({"value": 1.0, "measured": float("inf")}, 1000),
        ({"value": 0.0, "measured": -0.03, "dot": 1.0}, 1),
    ],
)
def test_a_prediction_beside_its_result_has_a_dot_whatever_was_measured(known, dot):
    assert standing.dots_of({"exercises": {}, "predictions": {"03.a": known}}) == {"03": [dot]}


def test_an_exercise_of_every_lab_that_has_a_file_is_found():
    keys = [exercise.key for exercise in standing.all_exercises()]
    assert len(set(keys)) == len(keys) and "00.total" in keys
