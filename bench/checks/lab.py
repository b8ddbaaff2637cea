"""Lab: what a check is given to work with, and what it leaves behind."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.mnist import Mnist
from bench.theory.rounding.formats import FLOAT32, OF_PRECISION, TF32, Format

if TYPE_CHECKING:
    from bench.nets.images import Images

#: A type's name: NumPy takes longer to spell one out than to hash an array.
_name = functools.cache(str)


class AbsentError(Exception):
    """This TensorFlow has no such thing as the check is about; the message says so."""


class Lab:
    """The surroundings of one check.

    Args:
        data: the images.
        device: ``cpu`` or ``gpu``.
        tf32: whether float32 matrix products round their factors to TF32.
    """

    def __init__(self, data: Mnist, device: str, *, tf32: bool = False) -> None:
        self.data = data
        self.device = device
        self._tf32 = tf32
        self._hash = hashlib.sha256()

    @functools.cached_property
    def images(self) -> Images:
        """The data set on the device."""
        from bench.nets.images import on_device

        return on_device(self.data, self.device)

    def form(self, precision: str) -> Format:
        """The format in which a precision's hidden layers compute."""
        form = OF_PRECISION[precision]
        return TF32 if form is FLOAT32 and self._tf32 else form

    def seen(self, array: Any) -> npt.NDArray[Any]:
        """An array that TensorFlow computed, in NumPy; its bits become part of the check's digest."""
        values = np.asarray(array)
        self._hash.update(f"{_name(values.dtype)}{values.shape}".encode())
        self._hash.update(values.tobytes())
        return values

    @property
    def digest(self) -> str:
        """Hash of all arrays seen."""
        return self._hash.hexdigest()[:32]
