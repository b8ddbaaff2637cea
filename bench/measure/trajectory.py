"""Trajectory and digest: the sharpest evidence that training is what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

#: Steps of which a record keeps the loss.
LENGTH = 200


def trajectory(losses: npt.NDArray[np.float32]) -> bytes:
    """The first :data:`LENGTH` losses as little-endian float32."""
    return np.ascontiguousarray(losses[:LENGTH], "<f4").tobytes()


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
