"""The explorer's timeline: which steps it shows of which run, and what hands did to the nodes."""

import pytest

from ddl_lab.cluster.model import Cluster
from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder
from ddl_lab.plots.canvas import Canvas
from ddl_lab.plots.histories.glance import STEPS, Glance, end_of_step, part_of
from ddl_lab.virtual.simulation import simulate


def run(clock, steps=10, nodes=2, finished=True, marks=()):
    """A step a second on every rank."""
    recorders = [Recorder() for _ in range(nodes)]
    for recorder in recorders:
        for k in range(steps):
            recorder.span("compute", k, k + 1)
            recorder.row(k + 1, {"loss": 1.0})
    ends = dict.fromkeys(range(nodes), float(steps)) if finished else {}
    return History(clock, recorders, finished_s=ends, about={"marks": list(marks)})


def shown(history):
    window, complete = part_of(history)
    return window.start_s, window.end_s, window.words, complete


@pytest.mark.parametrize("clock", ["virtual", "paced"])
def test_of_a_simulation_and_of_a_run_that_nobody_touched_it_shows_the_first_steps(clock):
    assert shown(run(clock)) == (0.0, STEPS, "first 4 steps", True)


def test_of_a_run_that_goes_on_or_was_cut_short_it_shows_the_newest_steps():
    assert shown(run("paced", finished=False)) == (10 - STEPS, 10, "newest 4 steps", False)
    assert shown(run("wall", steps=2, finished=False)) == (0.0, 2, "newest 4 steps", False)


def test_a_mark_that_is_newer_than_all_spans_is_in_sight():
    """A node that is paused ends no span, and the others wait."""
    assert shown(run("paced", finished=False, marks=[(12.5, 1, "paused")]))[1] == 12.5


def test_a_new_mark_stays_in_sight_for_a_while():
    recent, old = (run("paced", finished=False, marks=[(at, 1, "slow x5")]) for at in (5.4, 4.6))
    assert shown(recent) == (pytest.approx(5.4 - 0.46), 10, "since the newest mark", False)
    assert shown(old)[2] == "newest 4 steps"


def test_of_a_run_that_was_touched_it_shows_the_steps_around_the_newest_mark():
    touched = run("paced", marks=[(2.5, 0, "slow x5"), (6.5, 0, "slow x1")])
    assert shown(touched) == (4, 8, "around the newest mark", True)


def test_a_simulation_that_grows_is_shown_from_its_start_until_the_first_steps_are_there():
    assert shown(run("virtual", steps=2, finished=False)) == (0.0, 2.0, "from the start", False)


def test_where_a_server_alone_records_it_shows_as_many_steps_for_each_worker():
    def served(finished):
        server, worker = run("virtual", steps=20, nodes=1).recorders[0], Recorder()
        return History("virtual", [server, worker, worker], finished_s=dict.fromkeys(range(finished), 20.0))

    assert shown(served(finished=3)) == (0.0, 3 * STEPS, "first 12 steps", True)
    assert shown(served(finished=0)) == (0.0, 20.0, "from the start", False)


def test_marks_stand_in_their_lanes_and_go_with_their_window():
    (ax,) = Canvas(4.5, 2.3, "").row(1)
    glance = Glance(ax)
    assert glance.draw(run("paced", finished=False, marks=[(6.0, 1, "paused")]))
    assert [text.get_text() for text in ax.texts] == ["paused"] and ax.texts[0].get_position()[1] == 1.0
    assert glance.draw(run("paced"))
    assert not ax.texts and ax.get_xlim() == (0.0, STEPS)


def test_what_will_not_change_is_drawn_once():
    (ax,) = Canvas(4.5, 2.3, "").row(1)
    glance, done, going = Glance(ax), run("paced"), run("paced", finished=False)
    assert [glance.draw(done), glance.draw(done)] == [True, False]
    assert [glance.draw(going), glance.draw(going)] == [True, True]


def test_a_step_ends_when_its_last_rank_has_recorded_it():
    def worker(node):
        for _ in range(3):
            with node.compute(samples=100 * (1 + node.rank)):
                pass
            node.record(loss=1.0)

    history = simulate(worker, 3, cluster=Cluster(speeds=1000.0))
    assert end_of_step(history, 1) == pytest.approx(0.6)
    assert end_of_step(history, 3) is None
    recorder = Recorder()
    recorder.span("compute", 0.0, 1.0)
    assert end_of_step(History("virtual", [recorder]), 0) is None


def test_its_legend_names_the_kinds_of_work_that_occur():
    (ax,) = Canvas(4, 3, "").row(1)
    glance, exchanging = Glance(ax), run("virtual")
    for recorder in exchanging.recorders:
        recorder.span("all_reduce", 1.2, 1.6)
    for history, names in ((run("virtual"), ["compute"]), (exchanging, ["compute", "communicate"])):
        glance.draw(history)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == names
