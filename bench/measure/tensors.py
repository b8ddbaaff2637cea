"""Fingerprints of tensors: a hash of their bits and three numbers that tell how far two are apart."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells.initial_values import stream
from bench.results.record import VALUES, Tensors

Array = npt.NDArray[np.float64]

#: Steps before which tensors are looked at: the start, what the first update did, and then a decade
#: apart as far as the trajectory goes.
STEPS = (0, 1, 10, 100)

#: Names of what is taken in inference mode.
BATCH_LOGITS, TEST_LOGITS = "logits in inference", "logits of the test images in inference"


def fingerprints(moments: Mapping[int, Mapping[str, npt.NDArray[Any]]]) -> Tensors:
    """Fingerprints of named tensors, the same names at every step.

    The sum of entries x_i with random signs, over the square root of their number n, differs between
    two tensors by d with E[d^2] = mean((x_i - y_i)^2) (Alon, Matias and Szegedy 1999): no entry can
    change unseen, where a sample of entries would miss most. One sum may agree by chance: that d is
    below a tenth of its root mean square happens in 8 % of cases, with two sums in 1 %.

    Args:
        moments: by step, tensors by name in the order of the computation.
    """
    return joined([_fingerprint(step, tensors) for step, tensors in moments.items()])


def joined(parts: Sequence[Tensors]) -> Tensors:
    """Fingerprints of several steps as one, so that no two steps' tensors are in memory at once."""
    return Tensors(
        names=parts[0].names,
        steps=[step for part in parts for step in part.steps],
        hashes=b"".join(part.hashes for part in parts),
        values=b"".join(part.values for part in parts),
    )


def common(*sides: Tensors) -> list[Tensors]:
    """The fingerprints that all sides have, in the order of the first: of the same names and steps."""
    names = [name for name in sides[0].names if all(name in side.names for side in sides)]
    steps = [step for step in sides[0].steps if all(step in side.steps for side in sides)]
    return [_selected(side, names, steps) for side in sides]


def _selected(side: Tensors, names: Sequence[str], steps: Sequence[int]) -> Tensors:
    if (list(names), list(steps)) == (side.names, side.steps):
        return side
    places = np.ix_(
        [side.steps.index(step) for step in steps], [side.names.index(n) for n in names]
    )
    shape = len(side.steps), len(side.names)
    return Tensors(
        names=list(names),
        steps=list(steps),
        hashes=np.frombuffer(side.hashes, "<u4").reshape(shape)[places].tobytes(),
        values=np.frombuffer(side.values, "<f4").reshape(*shape, VALUES)[places].tobytes(),
    )


def _fingerprint(step: int, tensors: Mapping[str, npt.NDArray[Any]]) -> Tensors:
    with np.errstate(over="ignore"):  # float64 tensors, and sums of the largest float32 numbers
        values = np.array([_numbers(name, tensors[name]) for name in tensors]).astype("<f4")
    hashes = [zlib.crc32(np.ascontiguousarray(tensor).tobytes()) for tensor in tensors.values()]
    return Tensors(
        names=list(tensors),
        steps=[step],
        hashes=np.array(hashes, "<u4").tobytes(),
        values=values.tobytes(),
    )


def distance(first: Tensors, second: Tensors) -> Array:
    """How far the tensors of two replicas are apart, (steps, names).

    The root mean square of the differences of the sums, or the difference of the root mean squares if
    that is larger, over the tensor's own root mean square: about the relative difference of the
    tensors themselves, down to 6e-8. 0 where bits
    are equal; the smallest positive float where they are not and nothing else tells them apart
    (signs of zeros, both sides not finite); infinite where one side is zero or not finite and the
    other is not.

    Raises:
        ValueError: the two sides have other tensors or steps.
    """
    if (first.names, first.steps) != (second.names, second.steps):
        raise ValueError("fingerprints of other tensors or steps")
    shape = len(first.steps), len(first.names)
    equal = (np.frombuffer(first.hashes, "<u4") == np.frombuffer(second.hashes, "<u4")).reshape(
        shape
    )
    a, b = (
        np.frombuffer(side.values, "<f4").astype(float).reshape(*shape, VALUES)
        for side in (first, second)
    )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        root, *sums = np.moveaxis(a - b, -1, 0)
        apart = np.maximum(np.sqrt(np.mean(np.square(sums), axis=0)), np.abs(root))
        apart = apart / np.maximum(a[..., 0], b[..., 0])
    finite, other_finite = (np.isfinite(side).all(axis=-1) for side in (a, b))
    zero, other_zero = (side[..., 0] == 0 for side in (a, b))
    apart = np.where((finite & other_finite) & ~(zero | other_zero), apart, 0.0)
    apart = np.where((finite != other_finite) | (zero != other_zero), np.inf, apart)
    return np.where(equal, 0.0, np.maximum(apart, np.finfo(float).tiny))


def _numbers(name: str, tensor: npt.NDArray[Any]) -> Sequence[float]:
    flat = np.asarray(tensor, np.float64).reshape(-1)
    root = np.sqrt(max(flat.size, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        sums = [_signs(name, flat.size, number) @ flat for number in range(VALUES - 1)]
        return [float(value / root) for value in (np.sqrt(flat @ flat), *sums)]


@functools.lru_cache(maxsize=4096)
def _signs(name: str, size: int, number: int) -> npt.NDArray[np.float32]:
    return signs(f"signs of {name}", size, number).astype(np.float32)


def signs(role: str, size: int, seed: int = 0) -> Array:
    """``size`` random signs, -1.0 or 1.0, that belong to a role and a seed."""
    words = stream(seed, role).random_raw(-(-size // 64))
    bits = np.unpackbits(np.asarray(words, "<u8").view(np.uint8), count=size)
    return bits.astype(np.float64) * 2.0 - 1.0
