"""Regression tests and benchmarks for TensorFlow: is this upgrade safe?

Importing this package neither imports TensorFlow nor touches files, devices or random state; what it
offers to notebooks, :func:`load` and :func:`load_baseline`, imports pandas on its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.frames.load import load as load
    from bench.frames.load import load_baseline as load_baseline

__version__ = "0.1.0"
__all__ = ["load", "load_baseline"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from bench.frames import load

        return getattr(load, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
