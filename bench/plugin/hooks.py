"""The pytest plugin. Asleep, but for its options, until the conftest of ``suites/`` wakes it."""

from __future__ import annotations

import os

import pytest

from bench.plugin.options import add_options
from bench.plugin.trouble import trouble_ends_pytest
from bench.results.environment import NUMPY_THREADS


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def activate(config: pytest.Config) -> None:
    """Wakes the plugin; called by the conftest of ``suites/``."""
    plugins = config.pluginmanager
    if plugins.has_plugin("bench-run"):
        return
    os.environ.setdefault(*NUMPY_THREADS)
    with trouble_ends_pytest():
        from bench.plugin import fixtures
        from bench.plugin.collection import Collection
        from bench.plugin.session import SuiteRun

        collection = Collection(config)
        run = SuiteRun(config, collection)
    config.stash[fixtures.RUN] = run
    plugins.register(collection, "bench-collection")
    plugins.register(run, "bench-run")
    plugins.register(fixtures, "bench-fixtures")
