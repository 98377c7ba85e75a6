"""``counted``: a number and what it counts; what the course says of one node, and of one of anything."""

import pytest

import ddl_lab as lab
from ddl_lab.counted import counted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (counted(0, "node"), "0 nodes"),
        (counted(1, "node"), "1 node"),
        (counted(2, "process", "processes"), "2 processes"),
        (counted(1, "process", "processes"), "1 process"),
        (counted(201_217, "byte"), "201,217 bytes"),
    ],
)
def test_one_is_no_plural(words, said):
    assert words == said


def alone(node):
    with node.compute(samples=1):
        pass
    node.record(loss=1.0)


def test_a_history_of_one_node_says_so():
    said = repr(lab.simulate(alone, nodes=1))
    assert said.startswith("<History: 1 node, ") and "1 metric row, 0 bytes sent" in said


def test_errors_about_one_node_say_so():
    with pytest.raises(ValueError, match="0 entries for 1 node: "):
        lab.simulate(alone, nodes=1, cluster=lab.Cluster(speeds=[]))
    with pytest.raises(ValueError, match="ranks of 1 node are 0 to 0"):
        lab.simulate(alone, nodes=1, cluster=lab.Cluster(slow={1: 2.0}))
