"""Wakes bench's pytest plugin: what lies below trains networks."""

import pytest

from bench import pytest_plugin


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    pytest_plugin.activate(config)
