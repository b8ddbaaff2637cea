"""Tests of which Python the sides of a comparison run on, and of Pythons that uv finds and fetches."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

import pytest

from bench.environments import installer, interpreters
from bench.environments.interpreters import Interpreter, choose, fetch, find, probe
from bench.environments.requirements import Side, parse_side, refusal
from bench.errors import BenchError


class Machine:
    """A machine with some Pythons, online or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.minors: set[int] = set()
        self.offline = False
        self.said: list[str] = []
        self.fetched: list[int] = []
        monkeypatch.setattr(interpreters, "RUNNING", 12)
        monkeypatch.setattr(interpreters, "find", self.find)
        monkeypatch.setattr(interpreters, "fetch", self.fetch)

    def find(self, minor: int) -> Interpreter | None:
        return Interpreter(f"/python3.{minor}", f"3.{minor}.1") if minor in self.minors else None

    def fetch(self, minor: int, say: object) -> Interpreter:
        if self.offline:
            raise BenchError(f"uv could not download Python 3.{minor}")
        self.fetched.append(minor)
        return Interpreter(f"/uv/python3.{minor}", f"3.{minor}.1")

    def choose(self, *texts: str, python: str = "") -> list[int]:
        sides = [parse_side(text) for text in texts]
        return [one.minor for one in choose(sides, python=python, say=self.said.append)]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_one_python_for_all_sides(machine: Machine) -> None:
    """This process' own if it fits all, else the newest that is here, else one that uv fetches."""
    machine.minors = {10, 11, 12, 13}
    assert machine.choose("2.20", "2.21") == [12, 12]
    assert machine.choose("2.15", "2.21") == [11, 11]
    assert machine.choose("2.13", "2.18", "2.21") == [11, 11, 11]
    assert machine.choose("2.20", "2.21", python="3.13") == [13, 13]
    assert machine.said == machine.fetched == []
    machine.minors = {12}
    assert machine.choose("2.15", "2.21") == [11, 11]
    assert machine.choose("2.20", "2.21", python="3.13") == [13, 13]
    assert machine.fetched == [11, 13]


def test_two_pythons_where_there_is_none_for_both(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, since the Python may show in speeds."""
    machine.minors = {11, 13}
    monkeypatch.setattr(interpreters, "RUNNING", 13)
    assert machine.choose("2.15", "2.20 numpy==2.1.0") == [11, 11]
    machine.minors, machine.offline = {10, 13}, True
    assert machine.choose("2.15", "2.21 numpy>=2.3") == [10, 13]
    assert machine.said == [
        "uv could not download Python 3.11",
        "no Python for all sides: 3.10.1 for tensorflow-cpu==2.15.*, 3.13.1 for tensorflow-cpu==2.21.* "
        "numpy>=2.3; speeds outside TensorFlow's own code may differ for that reason",
    ]
    machine.minors = {13}
    with pytest.raises(BenchError, match=re.escape("uv could not download Python 3.11")):
        machine.choose("2.15", "2.21 numpy>=2.3")


@pytest.mark.parametrize(
    ("texts", "python", "message"),
    [
        (("2.11", "2.21"), "", refusal(parse_side("2.11"))),
        (("2.21", "2.15 numpy>=2"), "", refusal(parse_side("2.15 numpy>=2"))),
        (
            ("2.16", "2.21"),
            "3.13",
            "tensorflow-cpu==2.16.* has wheels for Python 3.10 to 3.12, not for 3.13",
        ),
    ],
)
def test_what_is_impossible_is_said_before_anything_is_fetched(
    machine: Machine, texts: tuple[str, ...], python: str, message: str
) -> None:
    """With the reason: TensorFlow, NumPy, the Python asked for."""
    with pytest.raises(BenchError, match=re.escape(message)):
        machine.choose(*texts, python=python)
    assert machine.fetched == []


def test_an_existing_interpreter_decides_the_python_of_the_other_side(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides run on one, to the patch release; one that bench does not run on is refused."""
    machine.minors = {10, 11, 12}
    old, new = Side(python="/venv/bin/python"), parse_side("2.21")
    monkeypatch.setattr(interpreters, "probe", lambda path: Interpreter(path, "3.10.9"))
    assert [one.path for one in choose([old, new])] == [old.python] * 2
    two = Side(python="/another/bin/python")
    assert [one.path for one in choose([old, two])] == [old.python, two.python]
    monkeypatch.setattr(interpreters, "probe", lambda path: Interpreter(path, "3.9.1"))
    message = "/venv/bin/python is Python 3.9.1, and bench runs on 3.10 to 3.13"
    with pytest.raises(BenchError, match=re.escape(message)):
        choose([old, new])


OTHER = 10 if sys.version_info.minor != 10 else 11


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which uv finds nothing, and downloads nothing; a folder on its PATH."""
    installer.pip_settings.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    return tmp_path


def command(folder: Path, text: str) -> None:
    """A command ``python3.10`` that does something."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"python3.{OTHER}"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_running_python_is_found_wherever_it_is(bare: Path) -> None:
    """Also in a virtual environment, or off PATH."""
    running = Interpreter(sys.executable, platform.python_version())
    assert find(sys.version_info.minor) == running == probe(sys.executable)


@pytest.mark.slow
def test_pythons_that_do_not_start_or_are_others_are_passed_over(bare: Path) -> None:
    """A command on PATH may be a version manager's stand-in, or another Python than its name says."""
    command(bare, "exit 127")
    assert find(OTHER) is None
    command(bare, f'exec {sys.executable} "$@"')
    assert find(OTHER) is None


def test_pythons_of_pyenv_are_found_though_they_are_switched_off(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv is given their folders behind PATH."""
    command(bare / "pyenv" / "versions" / "3.10.1" / "bin", "exit 127")
    path = installer._search_path()
    assert path.split(":") == [str(bare), str(bare / "pyenv" / "versions" / "3.10.1" / "bin")]


def test_a_python_that_cannot_be_fetched_is_said_with_the_way_out(bare: Path) -> None:
    """As uv explains it."""
    said: list[str] = []
    with pytest.raises(BenchError, match=f"there is no Python 3.{OTHER} here") as caught:
        fetch(OTHER, said.append)
    assert "download" in caught.value.message.split("\n", 1)[1]
    assert "--python" in caught.value.hint
    assert said == [f"no Python 3.{OTHER} on this machine: uv downloads one"]


def test_a_path_without_a_python_is_said(bare: Path) -> None:
    """What the user wrote, and uv's reason."""
    command(bare, "echo hello")
    with pytest.raises(BenchError, match=f"python3.{OTHER}: no Python interpreter:(.|\n)*response"):
        choose([parse_side("2.21")], python=str(bare / f"python3.{OTHER}"))
