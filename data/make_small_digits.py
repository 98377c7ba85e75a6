"""Make data/small_digits.npz from the 1,797 digits that the package scikit-learn 1.9.1 carries.

    python -m pip download --no-deps --dest downloads scikit-learn==1.9.1
    python data/make_small_digits.py downloads/scikit_learn-1.9.1-*.whl

scikit-learn itself is neither installed nor needed. The same wheel gives the same bytes, as make_digits.py
tells, whose reader and writer these are.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from make_digits import read_table, write_npz

MEMBER = "sklearn/datasets/data/digits.csv.gz"
MEMBER_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
TARGET = Path(__file__).with_name("small_digits.npz")


def read_wheel(wheel: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (1797, 8, 8), 0 to 16, and labels uint8 (1797,) in the order of the source.

    Raises ValueError when the wheel's digits are not the ones this script was written for.
    """
    table = read_table(wheel, MEMBER, MEMBER_SHA256)
    if table.shape != (1797, 65) or table.min() < 0 or table[:, :-1].max() > 16:
        raise ValueError(f"expected 1797 rows of 64 pixels in 0..16 and a label, got {table.shape}")
    return table[:, :-1].astype(np.uint8).reshape(-1, 8, 8), table[:, -1].astype(np.uint8)


def main() -> None:
    """Read the wheel named on the command line, write small_digits.npz, print the two check sums."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    images, labels = read_wheel(Path(sys.argv[1]))
    write_npz(TARGET, {"images": images, "labels": labels})
    print("file  ", hashlib.sha256(TARGET.read_bytes()).hexdigest(), TARGET.stat().st_size, "bytes")
    print("pixels", hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
