"""The contest's ladder: seconds and money crown different winners, and the naive entry doesn't arrive."""

import entries
import pytest


@pytest.fixture(scope="module")
def ladder():
    """Scores by name, each unconfirmed but for the two winners."""
    names = ["one_host_local", "one_host", "alone"]
    return {
        name: entries.task.score(getattr(entries, name), confirm=name != "one_host_local") for name in names
    }


def test_seconds_and_money_crown_different_winners(ladder):
    assert all(score.reached for score in ladder.values())
    assert min(ladder.values(), key=lambda score: score.seconds).name == "one_host"
    assert min(ladder.values(), key=lambda score: score.money).name == "alone"


def test_a_synchronous_entry_is_confirmed_to_the_bit(ladder):
    for name in ("one_host", "alone"):
        assert ladder[name].confirmed and ladder[name].how == "to the bit, by 12 real processes"
    assert not ladder["one_host_local"].confirmed and ladder["one_host_local"].how == "not asked for"


def test_an_honest_entry_is_charged_nothing_and_scores_the_same_again(ladder):
    again = entries.task.score(entries.alone, confirm=False)
    assert ladder["alone"].charged_s == again.charged_s == 0
    assert (again.seconds, again.node_seconds) == (ladder["alone"].seconds, ladder["alone"].node_seconds)
    assert (again.checked, again.held_out) == (ladder["alone"].checked, ladder["alone"].held_out)
