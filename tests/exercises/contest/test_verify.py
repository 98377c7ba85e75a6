"""Cards: the source comes first; what runs again is told apart from what doesn't match or is no card."""

import json

import pytest

import ddl_lab as lab
from ddl_lab.exercises.contest.rules import NotAllowed
from ddl_lab.exercises.contest.score import digest_of
from ddl_lab.exercises.contest.verify import BadCard

task = lab.contest(seed=6)


def shared(node):
    model = lab.make_model(seed=0)
    if node.rank == 0:
        for _ in range(20):
            lab.sgd_step(model, task.gradient(node, model, batch=64), lr=0.5)
    return model


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """A card's file, and its score."""
    path = tmp_path_factory.mktemp("cards") / "mine"
    score = task.score(shared, nodes=2)
    picture = score.card(path)
    assert picture.png() == path.with_suffix(".png").read_bytes()
    return path.with_suffix(".json"), score


def altered(card, tmp_path, **changes):
    told = json.loads(card[0].read_text()) | changes
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(told))
    return path


def test_a_card_is_read_before_it_runs(card, capsys, monkeypatch):
    from ddl_lab.exercises.contest import referee

    monkeypatch.setattr(referee, "judged", lambda *_: pytest.fail("it ran"))
    assert lab.verify(card[0]) is None
    said = capsys.readouterr().out
    assert card[1].source in said and "Nothing has run" in said and "i_have_read_it=True" in said


@pytest.mark.parametrize("said", [1, "yes", False])
def test_only_true_means_that_it_was_read(card, said):
    with pytest.raises(ValueError, match=r"only if it is True.*read that first"):
        lab.verify(card[0], i_have_read_it=said)


def test_a_card_runs_again_to_the_last_digit(card):
    again = lab.verify(card[0], i_have_read_it=True)
    assert again.same and again.matches
    assert repr(again) == "shared, run again: it is what the card says, to the last digit"
    assert "matches" in again._repr_html_()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seconds": 0.01}, "seconds 0.64, and the card says 0.01"),
        ({"held_out": 0.99}, "the card says 0.99"),
        ({"seed": 7}, "held_out"),
        ({"nodes": 1, "node_seconds": 9.0}, "node_seconds"),
        ({"confirmed": True}, "the card says confirmed, and here it is not"),
        ({"checked": 0.95, "held_out": 0.95}, "checked"),
    ],
)
def test_a_number_that_was_altered_is_named(card, tmp_path, changes, words):
    again = lab.verify(altered(card, tmp_path, **changes), i_have_read_it=True)
    assert not again.matches and not again.same
    assert again.words.startswith("it is NOT what the card says: ") and words in again.words


def test_a_number_that_is_near_is_near_enough(card, tmp_path):
    seconds = card[1].seconds
    again = lab.verify(altered(card, tmp_path, seconds=seconds * 1.03), i_have_read_it=True)
    assert again.matches and not again.same and again.words.startswith("near enough: seconds")


def lines(text):
    return text.splitlines()


HEAD = "from __future__ import annotations\n\nimport ddl_lab as lab\ntask = lab.contest(seed=6)\n\n\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os\nos.remove('all')\ndef shared(node):\n    pass\n", "import os"),
        (HEAD + "def shared(node):\n    open('x')\n", "open"),
        (HEAD + "def shared(node):\n    return ().__class__\n", "__class__"),
        (HEAD + "def shared(node:\n", "no Python"),
        (HEAD + "def other(node):\n    pass\n", "no function shared"),
    ],
)
def test_a_source_against_the_rules_does_not_run(card, tmp_path, source, words):
    path = altered(card, tmp_path, source=lines(source), digest=digest_of(source))
    with pytest.raises(NotAllowed, match=words):
        lab.verify(path, i_have_read_it=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seconds": "1"}, "its seconds is '1'"),
        ({"seconds": -1.0}, "its seconds is -1.0"),
        ({"money": True}, "its money is True"),
        ({"nodes": 13}, "its nodes is 13"),
        ({"seed": 2**40}, "its seed is"),
        ({"source": "def shared"}, "its source is 'def"),
        ({"source": ["x" * 20_000]}, "its source is"),
        ({"name": "\x1b[2J"}, "its name is"),
        ({"worker": "a b"}, "its worker is 'a b'"),
        ({"source": ["def shared(node):", "    return None"]}, "not that of its picture, .*altered"),
        ({"format": "else"}, "its format is 'else'"),
    ],
)
def test_a_card_that_was_tampered_with_is_no_card(card, tmp_path, changes, words):
    with pytest.raises(BadCard, match=words):
        lab.verify(altered(card, tmp_path, **changes))


def test_a_field_that_is_missing_is_named(card, tmp_path):
    told = json.loads(card[0].read_text())
    del told["held_out"]
    (path := tmp_path / "card.json").write_text(json.dumps(told))
    with pytest.raises(BadCard, match="it lacks held_out"):
        lab.verify(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG", "no JSON: name the .json"),
        (b"[1]", "holds a list"),
        (b"[" * 100_000, "no JSON"),
        (b" " * 300_000, "more than 200,000 bytes"),
    ],
)
def test_another_file_is_told(tmp_path, content, words):
    (path := tmp_path / "card.json").write_bytes(content)
    with pytest.raises(BadCard, match=words):
        lab.verify(path)
    with pytest.raises(BadCard, match=r"can't be read \(No such file"):
        lab.verify(tmp_path / "none.json")


def test_a_folder_that_is_not_there_is_told(card, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        card[1].card(tmp_path / "none" / "card")


deadly = lab.contest(seed=5, failures=True)


def keeps_on(node):
    done = (deadly.restore(node) or {"s": 0})["s"]
    while done < 6:
        with node.compute(seconds=1):
            done += 1
        deadly.save(node, s=done)
    return lab.make_model(seed=0)


def test_a_card_of_a_contest_with_failures_runs_again(tmp_path):
    score = deadly.score(keeps_on, nodes=1)
    assert score.seconds > 6.5 and "with failures" in score.card(tmp_path / "card").headline
    assert lab.verify(tmp_path / "card.json", i_have_read_it=True).same


def test_an_error_in_somebody_elses_worker_shows_its_line(card, tmp_path):
    source = HEAD + "def shared(node):\n    raise ValueError('theirs')\n"
    path = altered(card, tmp_path, source=lines(source), digest=digest_of(source))
    with pytest.raises(lab.WorkerError) as caught:
        lab.verify(path, i_have_read_it=True)
    assert "<card theirs.json>, line 8, in shared\n    raise ValueError('theirs')" in str(caught.value)
