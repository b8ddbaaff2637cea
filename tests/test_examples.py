"""Tests that the examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import bench

#: What imports TensorFlow, and what would run.
_LEFT_OUT = ("bench.nets", "bench.execution.trainer", "bench.__main__")


def test_examples_in_docstrings() -> None:
    """Every example of every module that needs no TensorFlow."""
    names = [
        module.name
        for module in pkgutil.walk_packages(bench.__path__, "bench.")
        if not module.name.startswith(_LEFT_OUT)
    ]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert not {name: result.failed for name, result in results.items() if result.failed}
    assert sum(result.attempted for result in results.values()) >= 10
