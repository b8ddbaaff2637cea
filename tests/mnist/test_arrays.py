"""MNIST's published constants."""

from __future__ import annotations

import doctest
import hashlib

from bench import mnist
from bench.mnist import arrays as _arrays
from bench.mnist import data as _data


def test_constants_are_those_of_mnist() -> None:
    """The fingerprint joins the four published digests."""
    assert _arrays.MNIST.shapes == ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    joined = hashlib.sha256()
    for digest in (
        b"741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        b"1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        b"6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        b"ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ):
        joined.update(digest)
    assert joined.hexdigest() == mnist.MNIST_FINGERPRINT
    assert _data._PUBLISHED is _arrays.MNIST


def test_examples_in_docstrings_run() -> None:
    outcome = doctest.testmod(_data)
    assert outcome.attempted > 0
    assert outcome.failed == 0
