"""``vary`` and its controls: the picture follows, the newest move wins, a prediction comes first."""

import asyncio
from itertools import pairwise

import matplotlib.pyplot as plt
import pytest
from fake_page import FakePage, in_a_loop, until

import ddl_lab as lab
from ddl_lab.plots.canvas import Canvas
from ddl_lab.widgets import page as pages
from ddl_lab.widgets.controls import RENARD, Control, Slider
from ddl_lab.widgets.drawing import Vary
from ddl_lab.widgets.page import REVIVE


def picture(z, label=0):
    canvas = Canvas(2.0, 1.0, f"z = {z}, label {label}")
    return canvas, f"z is {z}."


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(pages, "_open", {})
    return FakePage(monkeypatch)


def shown(draw=picture, prediction=None, **controls):
    varied = Vary(draw, prediction, controls)
    varied.show()
    return varied


def move(varied, name, value):
    (control,) = [control for control in varied.controls if control.name == name]
    control.widget.value = value


def test_the_first_picture_and_its_sentence_are_there_when_the_cell_ends(page):
    assert lab.vary(picture, z=lab.Slider(-120, 120, 4), label=[1, 0]) is None
    assert page.title == "<figure: z = 4, label 1>"
    assert page.words[-1] == f"z is 4.\n{REVIVE}"
    assert page.marked[-1] == f"<p>z is 4.</p><p><small>{REVIVE}</small></p>"
    assert page.pictures[-1]["metadata"] == {"image/png": {"width": 200, "height": 100}}


def test_without_an_event_loop_each_move_is_drawn_at_once(page):
    varied = shown(z=Slider(0, 10, 4))
    move(varied, "z", 7)
    assert [p["text/plain"] for p in page.pictures] == [f"<figure: z = {z}, label 0>" for z in (4, 7)]


def test_of_many_moves_only_the_newest_is_drawn_and_none_queue_up(page):
    drawn = []

    def draw(z):
        drawn.append(z)
        return Canvas(1.0, 1.0, str(z))

    async def act():
        varied = shown(draw, z=Slider(0, 100, 0))
        for z in range(1, 60):
            move(varied, "z", z)
        await until(lambda: drawn[-1] == 59)
        await asyncio.sleep(0.3)  # a backlog would be drawn now
        assert drawn == [0, 59]

    in_a_loop(act)


def test_redraws_keep_their_distance(page):
    times = []

    def draw(z):
        times.append(asyncio.get_running_loop().time())
        return Canvas(1.0, 1.0, str(z))

    async def act():
        varied = shown(draw, z=Slider(0, 100, 0))
        z = 0
        while len(times) < 5:
            z = (z + 1) % 100
            move(varied, "z", z)
            await asyncio.sleep(0.01)
        assert min(b - a for a, b in pairwise(times)) >= 0.099

    in_a_loop(act)


def test_an_error_after_a_move_stands_below_the_picture_and_the_next_move_mends_it(page):
    def fragile(z):
        if z == 3:
            raise ValueError("three is\n  too many")
        return Canvas(1.0, 1.0, str(z))

    varied = shown(fragile, z=Slider(0, 10, 4))
    move(varied, "z", 3)
    assert page.text == "z = 3: ValueError: three is\n  too many"
    assert "<pre>  too many</pre>" in page.marked[-1]
    assert page.title == "<figure: 4>"
    move(varied, "z", 2)
    assert page.title == "<figure: 2>" and page.words[-1] == REVIVE


def test_an_error_in_the_first_picture_is_the_cells(page):
    with pytest.raises(ZeroDivisionError):
        lab.vary(lambda z: 1 / 0, z=True)


def test_any_matplotlib_figure_is_shown_on_clear_ground_and_only_once(page):
    def draw(x):
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([0, x])
        return figure

    shown(draw, x=Slider(0.0, 1.0, 0.5))
    assert plt.get_fignums() == []  # an open one the notebook would show again
    assert page.pictures[-1]["metadata"]["image/png"] == {"width": 200, "height": 100}


def test_what_is_no_figure_is_refused_in_words(page):
    with pytest.raises(TypeError, match="this is a str, and the page takes a matplotlib Figure"):
        lab.vary(lambda z: "z", z=True)


@pytest.mark.parametrize(
    ("controls", "error", "words"),
    [
        ({"z": 3}, TypeError, r"vary\(z=3\): a control is lab.Slider\(low, high, start\), a list"),
        ({"z": []}, ValueError, "needs one entry"),
        ({"zz": True}, TypeError, r"don't fit picture\(z, label=0\): missing a required argument: 'z'"),
        ({"z": True, "y": True}, TypeError, "unexpected keyword argument 'y'"),
    ],
)
def test_bad_controls_are_refused_in_words(page, controls, error, words):
    with pytest.raises(error, match=words):
        lab.vary(picture, **controls)
    assert page.widgets == []


class Guess:
    """A prediction, as far as a widget knows it."""

    def __init__(self, ready=False):
        self.ready, self.callbacks = ready, []

    def when_ready(self, callback):
        self.callbacks.append(callback)


def locked(varied):
    return [control.widget.disabled for control in varied.controls] == [True] * len(varied.controls)


def test_controls_wait_until_the_prediction_is_written(page):
    guess = Guess()
    varied = shown(prediction=guess, z=Slider(0, 10, 4), label=[0, 1])
    assert locked(varied) and varied.lock.row.layout.display is None
    assert page.title == "<figure: z = 4, label 0>"
    (unlock,) = guess.callbacks
    unlock()
    assert not locked(varied) and varied.lock.row.layout.display == "none"


def test_show_me_anyway_unlocks(page):
    varied = shown(prediction=Guess(), z=Slider(0, 10, 4))
    varied.lock._open.click()
    assert not locked(varied)


def test_a_prediction_that_is_there_locks_nothing(page):
    assert not locked(shown(prediction=Guess(ready=True), z=Slider(0, 10, 4)))
    assert not locked(shown(z=Slider(0, 10, 4)))


def test_a_cell_that_runs_again_takes_its_older_controls_away(page, monkeypatch):
    run = iter(["first", "first", "second"])
    monkeypatch.setattr(pages, "_this_cell", lambda: ("cell-7", next(run)))
    lab.vary(picture, z=True)
    lab.vary(picture, z=False)  # the same run of the cell: both stay
    _, (one, two) = pages._open["cell-7"]
    assert one.box.comm is not None and two.box.comm is not None
    lab.vary(picture, z=True)
    assert one.box.comm is None and two.box.comm is None
    _, (three,) = pages._open["cell-7"]
    assert three.box.comm is not None


def test_every_control_has_a_name_and_a_tip(page):
    varied = shown(z=Slider(0, 10, 4, label="logit z", unit="nats"), label=[0, 1])
    assert [c.widget.description for c in varied.controls] == ["logit z (nats)", "label"]
    assert all(control.widget.tooltip for control in varied.controls)


# controls


def test_whole_numbers_stay_whole_and_others_are_floats():
    assert type(Control("z", Slider(-120, 120, 4)).value) is int
    assert type(Control("z", Slider(0.0, 1.0, 0.5)).value) is float
    assert Control("z", Slider(0, 1, 0, step=0.1)).widget.step == 0.1


@pytest.mark.parametrize(("low", "high", "step"), [(0.0, 1.0, 0.01), (0.0, 4.0, 0.05), (-5.0, 5.0, 0.1)])
def test_an_untold_step_is_about_a_hundredth_of_the_way_and_round(low, high, step):
    assert Slider(low, high, low).width == pytest.approx(step)


def test_a_log_slider_stops_at_preferred_numbers_and_at_its_start():
    slider = Slider(0.01, 3, 0.11, log=True)
    assert {0.01, 0.0125, 0.1, 0.11, 0.125, 1.0, 2.5, 3} <= set(slider.stops)
    assert set(slider.stops) - {0.11, 3} <= {float(f"{n}e{k}") for n in RENARD for k in (-2, -1, 0)}
    assert Control("lr", slider).value == 0.11
    assert Slider(1, 100, 8, log=True, step=1).stops == (1, 8, 10, 100)
    assert all(type(stop) is int for stop in Slider(1, 100, 8, log=True).stops)


def test_a_start_between_two_steps_is_one_of_the_stops():
    """The page's sliders would move it to the next step, and the figure would not be the cell's."""
    assert 0.333 in Slider(0, 1, 0.333, step=0.1).stops
    assert Control("x", Slider(0, 1, 0.333, step=0.1)).value == 0.333
    assert Slider(0, 1, 0.3, step=0.1).stops == ()


def test_the_readout_has_the_digits_of_the_step():
    formats = {
        step: Control("x", Slider(0.0, 1.0, 0.0, step=step)).widget.readout_format for step in (0.1, 0.25)
    }
    assert formats == {0.1: ".1f", 0.25: ".2f"}


def test_a_list_gives_its_entries_themselves():
    one, other = object(), (3, 4)
    control = Control("what", [one, other, 1, True])
    found = []
    for k in range(4):
        control.widget.value = k
        found.append(control.value)
    assert found[0] is one and found[1] is other and found[3] is True
    control.reset()
    assert control.value is one


@pytest.mark.parametrize(
    ("numbers", "options", "words"),
    [
        ((1, 0, 0), {}, "low is below high"),
        ((0, 1, 2), {}, "start is one of them or between"),
        ((0, 0, 0), {}, "low is below high"),
        ((0, float("nan"), 0), {}, "finite numbers"),
        ((0, 1, "half"), {}, "finite numbers"),
        ((0, 1, 0), {"step": 0}, "step=0 must be above 0"),
        ((0, 1, 1), {"log": True}, "low must be above 0"),
    ],
)
def test_a_slider_that_is_none_is_refused_in_words(numbers, options, words):
    with pytest.raises(ValueError, match=words):
        Slider(*numbers, **options)
