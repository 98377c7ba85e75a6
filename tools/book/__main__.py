"""Build the web book.

python -m tools.book                       all labs, into build/book
python -m tools.book --pictures 03 11      explorers' pictures for these labs only; the others' stand still
python -m tools.book --pictures            for none: some seconds
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .build import BookError, build

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Do what the command line says; 1 where something is missing, which is told."""
    parser = argparse.ArgumentParser(prog="python -m tools.book", description="Build the web book.")
    parser.add_argument(
        "--pictures", nargs="*", metavar="LAB", help="labs whose explorers move (default: all)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="where the pages go")
    parser.add_argument(
        "--kept", type=Path, default=ROOT / "build" / "book-pictures", help="pictures to reuse"
    )
    asked = parser.parse_args()
    try:
        build(asked.out, asked.kept, asked.pictures)
    except BookError as error:
        print(f"the book: {error}", file=sys.stderr)
        return 1
    print(f"the book is in {asked.out}: open {asked.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
