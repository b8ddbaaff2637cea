"""Tests of what uv is told of the package index, on machines that have configured it for pip."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.environments import installer
from bench.errors import BenchError
from support.wheels import make_wheel

CONFIGURATION = """
[global]
index-url = https://user:secret@index.example/simple
timeout = 60
trusted-host = index.example
    other.example
[install]
extra-index-url =
    https://one.example/simple
    https://two.example/simple
[download]
index-url = https://never.example/simple
"""


@pytest.fixture(autouse=True)
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither pip nor uv is configured, by files or variables."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    installer.pip_settings.cache_clear()
    yield
    installer.pip_settings.cache_clear()


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "pip.conf").write_text(text)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "pip.conf"))


def given(printed: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that prints its environment and arguments."""
    path = tmp_path / "uv"
    path.write_text('#!/bin/sh\n/usr/bin/env\necho "ARGUMENTS=$*"\n')
    path.chmod(0o755)
    monkeypatch.setattr(installer, "find_uv_bin", lambda: str(path))
    return path


def seen() -> dict[str, str]:
    """What uv is told by variables."""
    return given(installer.run("version", what="uv"))


@pytest.mark.usefixtures("variables")
def test_pips_files_reach_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those sections that are for ``pip install``; several indexes are one, as for pip."""
    configure(monkeypatch, tmp_path, CONFIGURATION)
    environment = seen()
    assert environment["UV_DEFAULT_INDEX"] == "https://user:secret@index.example/simple"
    assert environment["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert environment["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert environment["UV_INSECURE_HOST"] == "index.example other.example"
    assert environment["UV_HTTP_TIMEOUT"] == "60"


@pytest.mark.usefixtures("variables")
def test_pips_variables_win_over_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do for pip; places of ``find-links`` that are not there are passed over, as by pip."""
    configure(monkeypatch, tmp_path, CONFIGURATION)
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "90")
    monkeypatch.setenv("PIP_TIMEOUT", "120")
    monkeypatch.setenv("PIP_CERT", "/certificates.pem")
    monkeypatch.setenv("PIP_CLIENT_CERT", "/client.pem")
    monkeypatch.setenv("PIP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path} {tmp_path}/nowhere https://links.example/")
    environment = seen()
    assert environment["UV_DEFAULT_INDEX"] == "https://variable.example/simple"
    assert environment["UV_FIND_LINKS"] == f"{tmp_path},https://links.example/"
    assert environment["UV_HTTP_TIMEOUT"] == "120"
    assert environment["SSL_CERT_FILE"] == "/certificates.pem"
    assert environment["SSL_CLIENT_CERT"] == "/client.pem"
    assert environment["ALL_PROXY"] == "http://proxy.example:3128"


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("name", ["UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"])
@pytest.mark.slow
def test_indexes_of_uv_stand_in_place_of_pips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """All of them; how hosts are reached is another matter, each setting for itself."""
    configure(monkeypatch, tmp_path, CONFIGURATION)
    monkeypatch.setenv("PIP_NO_INDEX", "yes")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CERT", "/pip.pem")
    monkeypatch.setenv("SSL_CERT_FILE", "/uv.pem")
    monkeypatch.setenv(name, "https://uv.example/simple")
    environment = seen()
    indexes = {key: value for key, value in environment.items() if key in installer._INDEXES}
    assert indexes == {name: "https://uv.example/simple"}
    assert environment["SSL_CERT_FILE"] == "/uv.pem"
    assert environment["UV_HTTP_TIMEOUT"] == "60"
    assert installer._index_arguments() == []


@pytest.mark.usefixtures("variables")
def test_what_leads_astray_does_not_reach_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """An active environment is not the one that is meant."""
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "UV_PYTHON"):
        monkeypatch.setenv(name, "/elsewhere")
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "UV_PYTHON"} & set(seen())


def test_a_configuration_that_pip_cannot_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip would not go on either."""
    configure(monkeypatch, tmp_path, "[global\n")
    with pytest.raises(BenchError, match=r"pip's settings.*cannot be read:(.|\n)*pip\.conf"):
        installer.run("--version", what="uv")


@pytest.mark.slow
def test_an_index_of_which_only_pip_knows_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By uv itself; with nothing else, as ``no-index`` asks."""
    (tmp_path / "links").mkdir()
    make_wheel(tmp_path / "links", "bench-sample", "1.5")
    configure(monkeypatch, tmp_path, f"[global]\nno-index = true\nfind-links = {tmp_path}/links\n")
    found = installer.resolve(["bench-sample"], sys.executable, dependencies=True, folder=tmp_path)
    assert found.versions == {"bench-sample": "1.5"}
    with pytest.raises(BenchError, match="uv finds no versions for numpy") as caught:
        installer.resolve(["numpy"], sys.executable, dependencies=True, folder=tmp_path)
    assert "index" in caught.value.hint


def test_a_uv_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a dependency, so only a damaged installation lacks it."""

    def nowhere() -> str:
        raise FileNotFoundError("no uv in /nowhere")

    monkeypatch.setattr(installer, "find_uv_bin", nowhere)
    with pytest.raises(BenchError, match="uv does not start: no uv in /nowhere") as caught:
        installer.run("--version", what="no virtual environment")
    assert caught.value.hint == "install uv again"
