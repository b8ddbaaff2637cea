"""What a process holds: objects of TensorFlow and Keras, and allocated bytes, counted and not guessed.

The resident size of a process moves with whatever its allocator keeps for later. What is counted here
moves only with what is allocated: objects that Python's collector knows, and bytes that glibc's
``malloc`` has handed out and not got back, which TensorFlow takes its buffers from.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

#: Packages whose objects are counted.
PACKAGES = ("tensorflow", "keras")

#: Times that something is done before it is counted, as caches fill, and while it is counted.
WARMING, REPETITIONS = 2, 8

#: Classes that hold numbers, if they are no handles of resources.
_ARRAYS = ("EagerTensor", "ResourceVariable", "UninitializedVariable")

#: Bytes that a thread's cache in glibc may hold back, which count as allocated: 7 blocks of each of 64
#: sizes, 24, 40, ..., 1,032 (``TCACHE_MAX_BINS``, ``TCACHE_FILL_COUNT``).
CACHE = 7 * sum(range(24, 1033, 16))


def allowed(repetitions: int = REPETITIONS) -> float:
    """Bytes per repetition that mean nothing: two threads' caches, filled once in all repetitions."""
    return 2 * CACHE / repetitions


class _Statistics(ctypes.Structure):
    """``struct mallinfo2``, see mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _malloc_statistics() -> Callable[[], _Statistics] | None:
    """The function that tells them; None where the C library has none (glibc has since 2.33)."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        function = ctypes.CDLL(None).mallinfo2
        function.restype = _Statistics
        return function
    return None


_STATISTICS = _malloc_statistics()


@dataclass(frozen=True)
class Held:
    """What is held at one time."""

    objects: int
    """Of TensorFlow and Keras, made since :func:`counting` began."""
    parts: int
    """Those among them that are Keras' or hold numbers: layers, optimizers, variables, arrays."""
    graphs: int
    """Those among them that are graphs of functions."""
    allocated: int
    """Bytes: what ``malloc`` has handed out, where it tells, and the sizes of Python's own objects."""


@contextlib.contextmanager
def counting() -> Iterator[Callable[[], Held]]:
    """Sets aside what Python holds, so that the function that it gives counts what comes later.

    In a process that had set objects aside before, as training processes do with modules, they stay
    there: one that has trained for minutes holds millions, and to look through them takes seconds.
    """
    aside_before = gc.get_freeze_count()
    gc.collect()  # garbage would stay with them
    gc.freeze()
    try:
        yield _held
    finally:
        if not aside_before:
            gc.unfreeze()


def _held() -> Held:
    gc.collect()
    objects = parts = graphs = size = 0
    for one in gc.get_objects():
        kind = type(one)
        package = str(kind.__module__).partition(".")[0]
        if package in PACKAGES:
            objects += 1
            parts += package == "keras" or (
                kind.__name__ in _ARRAYS and one.dtype.name != "resource"
            )
            graphs += kind.__name__ == "FuncGraph"
        size += sys.getsizeof(one, 0)
    if _STATISTICS is not None:
        told = _STATISTICS()
        size += told.uordblks + told.hblkhd
    return Held(objects=objects, parts=parts, graphs=graphs, allocated=size)


def repeated(
    step: Callable[[], object], repetitions: int = REPETITIONS, *, warming: int = WARMING
) -> list[Held]:
    """What is held before the first of some repetitions and after each, once caches are warm."""
    with counting() as held:
        for _ in range(warming):
            step()
        found = [held()]
        for _ in range(repetitions):
            step()
            found.append(held())
    return found


def growth(counts: Sequence[int]) -> float:
    """By how much a count grows with each repetition, 0 at least: the smaller of the mean and the
    median of its steps. What grows once leaves the median alone, and what comes and goes, the mean.

    Example:
        >>> growth([5, 7, 9, 11]), growth([5, 5, 5, 90]), growth([5, 9, 5, 9, 5])
        (2.0, 0.0, 0.0)
    """
    steps = [after - before for before, after in itertools.pairwise(counts)]
    return max(0.0, min(statistics.fmean(steps), statistics.median(steps)))
