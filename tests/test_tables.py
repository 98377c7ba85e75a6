"""Small HTML tables, and amounts in words."""

import pytest

from ddl_lab.tables import html_table, in_words


@pytest.mark.parametrize(
    ("amount", "unit", "told"),
    [
        (0.0, "s", "0 s"), (50e-6, "s", "50 µs"), (2e-9, "s", "2 ns"), (0.0123, "s", "12.3 ms"),
        (1e9, "B/s", "1 GB/s"), (12.5e6, "B/s", "12.5 MB/s"), (3.0, "B/s", "3 B/s"), (90.0, "s", "90 s"),
        (1e11, "FLOP/s", "100 GFLOP/s"),
        (10_000.0, "samples/s", "10,000 samples/s"), (2.5, "samples/s", "2.5 samples/s"),
    ],
)  # fmt: skip
def test_an_amount_has_the_prefix_that_fits(amount, unit, told):
    assert in_words(amount, unit) == told


def test_a_table_is_plain_html_without_colours_of_its_own():
    table = html_table("A <title>", [("a & b", 3)], "below")
    assert "<caption>A &lt;title&gt;</caption>" in table and "a &amp; b" in table and ">3</td>" in table
    assert table.endswith("<p>below</p>") and "color" not in table


def test_without_a_note_there_is_none():
    assert "<p>" not in html_table("t", [])
