"""``python -m benchmarks [NAME …]``: measure and print a table."""

from __future__ import annotations

import importlib
import sys

from .table import HEAD

ROOMS = (
    "startup", "ending", "training", "simulation", "transport", "server", "pacing", "prediction", "recording",
    "pipeline", "synchronous", "tensor", "overlap", "explorer",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Print the rows of the named benchmarks as they come; 1 where a target is not met."""
    unknown = sorted(set(names) - set(ROOMS))
    if unknown:
        print(f"no benchmark {unknown[0]!r}: choose from {', '.join(ROOMS)}", file=sys.stderr)
        return 2
    print(HEAD, flush=True)
    met = True
    for name in names or ROOMS:
        for row in importlib.import_module(f".{name}", __package__).rows():
            print(row.show(), flush=True)
            met = met and row.met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
