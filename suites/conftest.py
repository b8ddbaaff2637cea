"""Wakes bench's pytest plugin: what lies below trains networks."""

import pytest

from bench.plugin import hooks


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    hooks.activate(config)
