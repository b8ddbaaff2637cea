"""Trajectory and digest: the sharpest evidence that training is what it was."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

#: Steps of which a record keeps the loss: all of every grid's.
LENGTH = 1000

#: Before step 1, every so many steps up to :data:`EARLY`, and every so many beyond, a record keeps
#: a hash of all variables. A hash takes a millisecond, a step about one.
MARK_EARLY, EARLY, MARK_LATE = 10, 200, 25


def trajectory(losses: npt.NDArray[np.float32]) -> bytes:
    """The first :data:`LENGTH` losses as little-endian float32."""
    return np.ascontiguousarray(losses[:LENGTH], "<f4").tobytes()


def marks(steps: int) -> list[int]:
    """Steps before which the state of a training of ``steps`` steps is marked by a hash: step 1,
    then at regular distances, the last step, and the end, which is step ``steps``.

    Example:
        >>> marks(33)
        [1, 10, 20, 30, 32, 33]
    """
    regular = {1, *range(MARK_EARLY, EARLY, MARK_EARLY), *range(EARLY, steps, MARK_LATE)}
    return sorted({step for step in regular if step < steps} | ({steps - 1, steps} - {0}))


def state(variables: Iterable[npt.NDArray[Any]]) -> int:
    """32 bits of all variables' bits, in order."""
    hashed = 0
    for variable in variables:
        hashed = zlib.crc32(np.ascontiguousarray(variable).data, hashed)
    return hashed


def from_bytes(stored: bytes) -> npt.NDArray[np.float32]:
    """The losses in a record's ``trajectory``."""
    return np.frombuffer(stored, "<f4").astype(np.float32)


def digest(arrays: Sequence[npt.NDArray[Any]]) -> str:
    """128 bits, in hexadecimal, of arrays in order: their dtypes, shapes and bits.

    Of a replica these are the step-0 gradients, the losses of all steps, all variables at the end,
    moving statistics included, and test accuracy and loss. Equal digests mean that nothing which was
    computed differs. Signs of zero and payloads of NaN count as bits, too.
    """
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()[:32]


def first_not_finite(losses: npt.NDArray[np.float32]) -> int | None:
    """The first step, from 0, whose loss is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(losses))
    return int(bad[0]) if bad.size else None


def diverged_at(losses: npt.NDArray[np.float32], test_loss: float) -> int | None:
    """The first step whose loss is not finite; the number of steps if only the test loss is not."""
    diverged = first_not_finite(losses)
    if diverged is None and not np.isfinite(test_loss):
        return len(losses)
    return diverged
