"""The board: every try is kept in the learner's own file, and drawn by contest."""

import json
from dataclasses import replace

import pytest

import ddl_lab as lab
from ddl_lab.exercises.contest import board
from ddl_lab.exercises.contest.score import Score
from ddl_lab.learner import file as learner

FAST = Score(
    "fast", 31, False, 12, 0.9, 3.6, 0.0, 0.94, 0.93, True, "to the bit", "def fast(node):\n    pass\n"
)
CHEAP = replace(FAST, name="cheap", seconds=1.5, node_seconds=1.5, source="def cheap(node):\n    pass\n")
SLOW = replace(FAST, name="slow", seconds=80.0, node_seconds=960.0, checked=0.9, confirmed=False)


@pytest.fixture
def at_home(monkeypatch, tmp_path):
    """The file of somebody who sits at a notebook."""
    kept = learner.LearnerFile(tmp_path)
    monkeypatch.setattr(board, "current", lambda: kept)
    return tmp_path / "learner.json"


def test_tries_are_kept_and_the_winners_named(at_home):
    for score in (FAST, CHEAP, SLOW):
        board.note(score)
    tries = json.loads(at_home.read_text())["tries"]
    assert sorted(one["name"] for one in tries.values()) == ["cheap", "fast", "slow"]
    figure = lab.contest(seed=31).board()
    assert figure.headline == "Contest 31: fast is the fastest (0.9 s), cheap the cheapest (0.125 cents)"


def test_the_same_entry_again_is_one_dot_and_another_source_under_its_name_two(at_home):
    for score in (FAST, FAST, replace(FAST, source="def fast(node):\n    return None\n")):
        board.note(score)
    assert len(json.loads(at_home.read_text())["tries"]) == 2


def test_contests_have_boards_of_their_own(at_home, capsys):
    board.note(FAST)
    assert lab.contest(seed=32).board() is None and lab.contest(seed=31, failures=True).board() is None
    assert capsys.readouterr().out.count("No try of this contest yet: task.score(worker)") == 2
    assert lab.contest(seed=31).board().headline == "Contest 31: fast is the fastest and the cheapest"


def test_a_note_that_somebody_has_spoiled_is_left_out(at_home):
    board.note(FAST)
    notes = json.loads(at_home.read_text())
    (key,) = notes["tries"]
    notes["tries"]["x"] = notes["tries"][key] | {"seconds": "fast"}
    notes["tries"]["y"] = {"seed": 31, "failures": False}
    at_home.write_text(json.dumps(notes))
    assert len(lab.contest(seed=31).board().axes[0].texts) == 1


def test_who_hasn_t_arrived_is_no_winner(at_home):
    board.note(SLOW)
    assert lab.contest(seed=31).board().headline == "Contest 31: no try has reached the target yet"


def leaves(node):
    return lab.make_model(seed=0) if node.rank == 0 else None


def test_a_score_writes_itself_down(at_home):
    task = lab.contest(seed=33)
    task.score(leaves, nodes=2, name="my first")
    assert task.board() is None  # it took no time: there is nothing to draw
