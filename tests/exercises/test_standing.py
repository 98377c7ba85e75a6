"""`lab.progress`: exercises of all labs with their states, predictions with their ratios."""

import base64
import json
import re
from html.parser import HTMLParser

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
    assert text.startswith(
        f"1 of {len(rest) + 2} exercises right, 1 more tried; 2 predictions written, 1 of them beside "
        "its result.\nWhether predictions got better can't be told"
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


@pytest.fixture
def page(desk, tmp_path, monkeypatch):
    """What `lab.progress` writes for who sits here, and what it prints."""
    monkeypatch.setattr("IPython.display.display", lambda thing: None)
    monkeypatch.setattr(standing, "attended", lambda: True)

    def write(**options):
        path = tmp_path / "mine.html"
        lab.progress(certificate=path, **options)
        return path.read_text()

    return write


def text_of(html):
    """The words of a page, tags and style left out; fails where a tag isn't closed by its own."""
    found, opened = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in ("meta", "img"):
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

        def handle_data(self, data):
            if "style" not in opened:
                found.append(data)

    Reader().feed(html)
    assert not opened
    return " ".join(" ".join(found).split())


def busy(desk, labs=12):
    """Predictions of many labs, ever nearer, and two exercises, one of them from before days were kept."""
    for number in range(labs):
        for place in range(2):
            about = {"question": f"How long, {number}.{place}?", "unit": "s", "on": f"2026-11-{10 + number}"}
            dot = 1 + 6 / (1 + number)
            desk.note("predictions", f"{number:02}.p{place}", value=1.0, measured=dot, dot=dot, **about)
    desk.note("exercises", "00.total", tried=True, done=True, on="2026-10-01")
    desk.note("exercises", "03.weights", tried=True, done=True)


def test_the_figure_shows_by_what_factor_each_labs_predictions_were_off():
    canvas = figure([Mark("00", "open", 1, 3)], {"00": [4.0, 0.5, 2.0], "07": [1.0]}, "what is done")
    ends = {
        line.get_ydata()[0]: line.get_xdata()[0] for line in canvas.axes[2].lines if line.get_marker() == "o"
    }
    assert ends == {0: 2.0, 1: 1.0}, "in the median, 0.5 as far off as 2"
    assert canvas.axes[2].get_xscale() == "log"


def test_without_a_prediction_the_figure_is_that_of_before():
    assert len(figure([Mark("00", "open", 1, 3)], {}, "what is done").axes) == 2


def test_words_say_whether_predictions_got_better(desk, capsys, monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda thing: None)
    busy(desk)
    lab.progress()
    assert "they got better, or the questions got easier for you." in capsys.readouterr().out


def test_the_certificate_tells_what_was_done_and_when_and_what_that_does_not_prove(desk, page, capsys):
    busy(desk)
    html = page(name="Ada <b>")
    text = text_of(html)
    assert "What Ada <b> did in the course" in text and "from 2026-10-01 to 2026-11-21" in text
    assert f"2 of {len(standing.all_exercises())} exercises right. 24 predictions written, 24 of them" in text
    assert "How long, 3.1? 1 s 2.5 s 2026-11-13" in text
    assert "00.total A sum ●○○ 2026-10-01" in text and "they got better" in text
    assert "What this doesn't prove" in text and "which anybody who can open it can change" in text
    assert "lab 03 1 of 5 2 2.5" in text
    assert "Your certificate: " in capsys.readouterr().out


def test_the_certificate_is_one_file_for_light_and_dark_pages_with_the_picture_in_it(desk, page):
    busy(desk)
    html = page()
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert "color-scheme:light dark" in html
    assert not re.search(r"https?:|<link|<script", html), "it needs nothing else"


def test_a_certificate_of_nothing_says_so(page):
    text = text_of(page())
    assert "What somebody did in the course" in text and "at times that were not kept" in text
    assert re.search(r"0 of \d+ exercises right. 0 predictions written", text)
    assert "can't be told" in text


DAMAGED = {
    "exercises": {
        "00.total": {"done": "yes", "on": 5},
        "nonsense": {"done": True},
        "03.weights": {"on": "x"},
    },
    "predictions": {
        "03.a": {"value": "2", "measured": 3.0},
        "03.b": {"value": True, "measured": 3.0},
        "03.c": {"value": 10**400, "measured": 3.0},
        "03.d": {"value": float("nan"), "measured": 3.0},
        "03.e": {"value": 2.0, "measured": float("inf"), "dot": float("inf"), "unit": 7, "question": ["?"]},
        "03.f": {"value": 2.0, "measured": None, "dot": "x", "on": "yesterday", "question": "\ud800 <i>"},
        "no lab": {"value": 2.0, "measured": 3.0},
        "": {},
    },
    "another section": {},
}


def test_damaged_entries_are_left_out_and_counted(desk, page, tmp_path):
    (tmp_path / "learner.json").write_text(json.dumps(DAMAGED))
    text = text_of(page())
    assert "5 entries of the file tell of no prediction with a number, and are left out." in text
    assert "3 predictions written, 1 of them beside the result" in text
    assert "lab 03 03.e 2 inf" in text and "<i> 2 not yet" in text


def test_a_file_from_before_days_were_kept_makes_a_certificate(desk, page, tmp_path):
    old = {
        "exercises": {"00.total": {"done": True, "tried": True}},
        "predictions": {"09.place": {"value": 2.0}},
    }
    (tmp_path / "learner.json").write_text(json.dumps(old))
    text = text_of(page())
    assert "at times that were not kept" in text and "lab 10 10.place 2 not yet" in text


def test_where_nobody_sits_no_certificate_is_written(desk, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("IPython.display.display", lambda thing: None)
    lab.progress(certificate=tmp_path / "mine.html")
    assert "Nobody sits here: no certificate is written." in capsys.readouterr().out
    assert not list(tmp_path.glob("*.html"))


def test_a_page_by_another_name_is_refused_before_anything_is_shown(desk, capsys):
    with pytest.raises(ValueError, match=r"name it so, as in 'certificate\.html'"):
        lab.progress(certificate="mine.pdf")
    assert not capsys.readouterr().out


def test_a_folder_that_is_not_there_is_told_in_words(desk, page, tmp_path, monkeypatch):
    with pytest.raises(lab.LabError, match=r"the certificate can't be written: .*make it first"):
        lab.progress(certificate=tmp_path / "nowhere" / "mine.html")
