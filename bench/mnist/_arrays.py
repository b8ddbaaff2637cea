"""Four arrays in MNIST's form: their checks, digests and fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.mnist._published import ARRAY_NAMES, CLASSES, Published, fingerprint_of

Bytes = npt.NDArray[np.uint8]


class Arrays(NamedTuple):
    """Images (count, 28, 28) and labels (count,), all uint8, in order of ARRAY_NAMES."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes

    def digests(self) -> tuple[str, ...]:
        """SHA-256 hex digest of each array's bytes, row-major."""
        return tuple(hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() for array in self)


def checked(candidates: list[npt.NDArray[Any]], published: Published, *, place: str) -> Arrays:
    """Admit arrays that have MNIST's form.

    Args:
        candidates: four arrays in order of ARRAY_NAMES. Images must be uint8; labels may be of
            any integer type and are cast to uint8.
        published: whose shapes are required.
        place: where they come from, for the message.

    Raises:
        BenchError: a wrong dtype, a wrong shape, or a label outside 0..9.
    """
    arrays = []
    for name, array, shape in zip(ARRAY_NAMES, candidates, published.shapes, strict=True):
        where = f"{place}: {name}"
        labels = len(shape) == 1
        integers = np.issubdtype(array.dtype, np.integer)
        if not (integers if labels else array.dtype == np.uint8):
            wanted = "an integer type" if labels else "uint8"
            raise BenchError(f"{where} have dtype {array.dtype}, expected {wanted}")
        if array.shape != shape:
            raise BenchError(f"{where} have shape {array.shape}, expected {shape}")
        if labels and (int(array.min()) < 0 or int(array.max()) >= CLASSES):
            raise BenchError(
                f"{where} run from {array.min()} to {array.max()}, expected 0 to {CLASSES - 1}"
            )
        arrays.append(np.ascontiguousarray(array, dtype=np.uint8))
    return Arrays(*arrays)


def differences(digests: tuple[str, ...], published: Published) -> list[str]:
    """One line for each array whose digest is not the published one."""
    return [
        f"{name} have sha256 {got}, expected {expected}"
        for name, got, expected in zip(ARRAY_NAMES, digests, published.digests, strict=True)
        if got != expected
    ]


def require_published(arrays: Arrays, published: Published, *, place: str) -> None:
    """Check after decoding that these are the published images and labels.

    Raises:
        BenchError: naming each array that differs, with both digests.
    """
    wrong = differences(arrays.digests(), published)
    if wrong:
        raise BenchError(f"{place}: decoded, but {'; '.join(wrong)}")


def identify(arrays: Arrays, published: Published, *, place: str) -> str:
    """Fingerprint of data that a user supplied, which need not be MNIST.

    A set that shares no array with MNIST (Fashion-MNIST, say) is a data set of its own. A set that
    shares some arrays and not others is a damaged copy.

    Raises:
        BenchError: a damaged copy of MNIST.
    """
    digests = arrays.digests()
    wrong = differences(digests, published)
    if wrong and len(wrong) < len(ARRAY_NAMES):
        raise BenchError(
            f"{place}: a damaged copy of MNIST: {'; '.join(wrong)}, "
            "while the other arrays are MNIST's",
            hint="replace the directory by a sound copy, or unset it to use another source",
        )
    return fingerprint_of(digests)


def sha256_of_file(path: Path) -> str:
    """SHA-256 hex digest of a file's content, read in blocks.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
