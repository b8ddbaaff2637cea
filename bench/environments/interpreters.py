"""Python interpreters, of this machine or fetched by uv, and on which of them sides run."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.environments import installer
from bench.environments.requirements import OWN_PYTHONS, Side, pythons, refusal, span
from bench.errors import BenchError

#: Python 3.x of this process.
RUNNING = sys.version_info.minor


class Interpreter(msgspec.Struct, frozen=True):
    """An interpreter that starts."""

    path: str
    version: str
    """For instance ``3.11.7``."""

    @property
    def minor(self) -> int:
        """11 for 3.11.7; -1 for what is not Python 3."""
        major, minor, *_ = self.version.split(".")
        return int(minor) if major == "3" else -1


#: Python 3.x on which a side runs, best first; an interpreter where no other one will do.
_Choice = dict[int, Interpreter | None]


def probe(path: str) -> Interpreter:
    """The interpreter at a path.

    Raises:
        BenchError: it does not start.
    """
    version = installer.run(
        *("python", "find", "--show-version", path),
        what=f"{path}: no Python interpreter",
        hint="give the path of a Python that starts, such as /usr/bin/python3.11",
    )
    return Interpreter(path, version.strip())


def find(minor: int) -> Interpreter | None:
    """A Python 3.x of this machine, the running one before others."""
    if minor == RUNNING:
        return Interpreter(sys.executable, platform.python_version())
    arguments = ("python", "find", "--system", "--no-python-downloads", f"cpython@3.{minor}")
    try:
        return probe(installer.run(*arguments, what=f"no Python 3.{minor}").strip())
    except BenchError:
        return None


def fetch(minor: int, say: Callable[[str], None]) -> Interpreter:
    """A Python 3.x that uv downloads and keeps.

    Raises:
        BenchError: it cannot be had.
    """
    say(f"no Python 3.{minor} on this machine: uv downloads one")
    what = f"there is no Python 3.{minor} here, and uv could not download one"
    hint = "install one, so that it is on PATH, or give another one's path by --python"
    installer.run("python", "install", f"cpython@3.{minor}", what=what, hint=hint)
    if interpreter := find(minor):
        return interpreter
    raise BenchError(f"{what}: it does not start", hint=hint)


def choose(
    sides: Sequence[Side], *, python: str = "", say: Callable[[str], None] = lambda _: None
) -> list[Interpreter]:
    """The interpreter of each side: one for all if there is one, this process' own before others.

    Args:
        sides: what is compared.
        python: a Python such as ``3.12``, or the path of an interpreter, to build with.
        say: receives a line when uv downloads an interpreter, and when sides run on different ones.

    Raises:
        BenchError: a side cannot be had.
    """
    choices = [_choice(side, python) for side in sides]
    here = functools.cache(find)

    def first(choice: _Choice) -> Interpreter | None:
        return next(filter(None, (given or here(minor) for minor, given in choice.items())), None)

    common: _Choice = {
        minor: next(filter(None, (choice[minor] for choice in choices)), None)
        for minor in choices[0]
        if all(minor in choice for choice in choices)
    }
    shared = first(common)
    apart = [] if shared else [first(choice) for choice in choices]
    if common and not shared:
        try:
            shared = fetch(next(iter(common)), say)
        except BenchError as error:
            if None in apart:
                raise
            say(str(error))
    if shared:
        return [choice.get(shared.minor) or shared for choice in choices]
    chosen = [
        interpreter or fetch(next(iter(choice)), say)
        for interpreter, choice in zip(apart, choices, strict=True)
    ]
    each = ", ".join(
        f"{one.version} for {side.label}" for one, side in zip(chosen, sides, strict=True)
    )
    say(
        f"no Python for all sides: {each}; "
        "speeds outside TensorFlow's own code may differ for that reason"
    )
    return chosen


def _choice(side: Side, python: str) -> _Choice:
    """The Pythons on which a side can run, where ``python`` is wanted if it is not empty.

    Raises:
        BenchError: none.
    """
    if side.python:
        interpreter = probe(side.python)
        if not OWN_PYTHONS[0] <= interpreter.minor <= OWN_PYTHONS[1]:
            raise BenchError(
                f"{side.python} is Python {interpreter.version}, and bench runs on "
                f"{span(range(OWN_PYTHONS[0], OWN_PYTHONS[1] + 1))}"
            )
        return {interpreter.minor: interpreter}
    if reason := refusal(side):
        raise BenchError(reason)
    minors = pythons(side)
    if not python:
        return dict.fromkeys(sorted(minors, key=lambda minor: (minor != RUNNING, -minor)))
    major, _, minor = python.partition(".")
    if major == "3" and minor.isdigit():
        choice: _Choice = {int(minor): None}
    else:
        interpreter = probe(str(Path(python).expanduser().absolute()))
        choice = {interpreter.minor: interpreter}
    if not minors.issuperset(choice):
        raise BenchError(
            f"{side.label} has wheels for Python {span(minors)}, not for {span(choice)}"
        )
    return choice
