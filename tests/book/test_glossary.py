"""The glossary: every term leads to a section that is there and speaks of it."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = r"^\| \*\*(.+?)\*\* \| (.+?) \| (.+?) \| (.+?) \| \[(\d\d), \*(.+?)\*\]\(\.\./labs/(\S+?)#(\S+)\) \|$"
ROWS = re.findall(ROW, (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.M)


def sections(name):
    """By heading what a lab says below it, up to the next one."""
    found, heading = {}, ""
    for cell in json.loads((ROOT / "labs" / name).read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and (match := re.match(r"#{1,4} (.*)", line)):
                heading = match[1].strip()
            found[heading] = found.get(heading, "") + line + "\n"
    return found


def words(term):
    """What a section may call it: the term, either of two, or its first word."""
    return [part.strip().lower() for part in re.split(r"[,()]|\bof\b|\blaw\b", term) if part.strip()]


def test_no_row_is_left_out_and_terms_stand_in_order():
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").count("\n| **")
    assert len(ROWS) == lines > 40
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_term_leads_to_where_it_is_used(row):
    term, _, _, _, number, heading, lab, anchor = row
    assert lab.startswith(number) and (ROOT / "labs" / lab).is_file()
    there = sections(lab)
    assert heading in there, list(there)
    assert anchor == re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    said = (heading + there[heading]).lower().replace("_", " ").replace("-", " ")
    assert any(
        word.replace("-", " ").removesuffix(" server").removesuffix(" seconds") in said
        for word in words(term)
    ), term
