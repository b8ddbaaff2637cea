"""Bursts that do not involve TensorFlow: they slow down with the machine, and with nothing else."""

from __future__ import annotations

import time

import numpy as np

#: A product that stays in the caches of one core, repeated for some milliseconds.
_SIZE, _PRODUCTS = 256, 20
#: Numbers of an array that no core's own cache holds: 32 MiB, read and written elsewhere.
_NUMBERS, _SWEEPS = 1 << 23, 2

#: Floating-point operations of :meth:`Calibration.product`, bytes that :meth:`Calibration.sweep` reads
#: and writes.
PRODUCT_FLOPS = _PRODUCTS * 2 * _SIZE**3
SWEEP_BYTES = _SWEEPS * 2 * 4 * _NUMBERS


class Calibration:
    """A matrix product, bound by arithmetic, and a sweep, bound by memory; both in NumPy, float32."""

    def __init__(self) -> None:
        self._left = np.full((_SIZE, _SIZE), 0.5, np.float32)
        self._right = np.full((_SIZE, _SIZE), 2.0, np.float32)
        self._into = np.empty_like(self._left)
        self._from = np.ones(_NUMBERS, np.float32)
        self._to = np.ones(_NUMBERS, np.float32)
        self.product()
        self.sweep()

    def product(self) -> float:
        """Seconds of some products of two matrices."""
        begin = time.perf_counter()
        for _ in range(_PRODUCTS):
            np.matmul(self._left, self._right, out=self._into)
        return time.perf_counter() - begin

    def sweep(self) -> float:
        """Seconds of copying an array that is larger than a core's caches."""
        begin = time.perf_counter()
        for _ in range(_SWEEPS):
            np.copyto(self._to, self._from)
        return time.perf_counter() - begin

    def once(self) -> list[float]:
        """Seconds of both."""
        return [self.product(), self.sweep()]
