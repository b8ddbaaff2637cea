"""Python interpreters on this machine, and which of them a pair of sides runs on."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.environments import installers
from bench.environments.requirements import OWN_PYTHONS, Side, pythons, refusal, span
from bench.errors import BenchError

#: Python 3.x of this process.
RUNNING = sys.version_info.minor
#: A start takes .03 s; from a cold network disk it may take seconds.
_TIMEOUT_SEC = 60.0
_ASK = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": platform.python_version(),
    "usual": sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"),
}))
"""


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


def probe(path: str) -> Interpreter:
    """What an interpreter says of itself.

    Raises:
        BenchError: it does not start, or is another Python than TensorFlow's wheels are made for.
    """
    try:
        done = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_TIMEOUT_SEC
        )
        told = json.loads(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else None
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise BenchError(f"{path}: no Python interpreter: {error}", hint=_HINT) from None
    if told is None:
        reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
        raise BenchError(f"{path}: no Python interpreter: {reason}", hint=_HINT)
    if not told["usual"]:
        raise BenchError(
            f"{path}: TensorFlow has wheels for CPython with its global lock only", hint=_HINT
        )
    return Interpreter(path, told["version"])


_HINT = "give the path of a Python that starts, such as /usr/bin/python3.11"


def find(minor: int) -> Interpreter | None:
    """A Python 3.x of this machine: the running one, one on PATH, pyenv's, one that uv knows."""
    return _find(minor, os.environ.get("PATH", ""), os.environ.get("PYENV_ROOT", ""))


@functools.lru_cache(maxsize=64)
def _find(minor: int, search: str, pyenv: str) -> Interpreter | None:
    """:func:`find` under two variables: version managers' stand-ins take a tenth of a second each."""
    for path in _candidates(minor, search, pyenv):
        try:
            found = probe(path)
        except BenchError:  # pyenv's commands exist for versions that are switched off
            continue
        if found.minor == minor:
            return found
    return None


def _candidates(minor: int, search: str, pyenv: str) -> Iterator[str]:
    if minor == RUNNING:
        yield sys.executable
    name = f"python3.{minor}"
    folders = [folder for folder in search.split(os.pathsep) if folder]
    roots = [pyenv, "~/.pyenv"]
    for root in [Path(root).expanduser() for root in roots if root]:
        versions = Path(root, "versions").glob(f"3.{minor}.*")
        folders += [str(one / "bin") for one in sorted(versions, key=_patch, reverse=True)]
    for folder in folders:
        path = Path(folder, name)
        if os.access(path, os.X_OK):
            yield str(path)
    uv = installers.uv_command()
    if uv:
        done = installers.run([*uv, "python", "find", "--no-python-downloads", f"3.{minor}"])
        if done.returncode == 0:
            yield done.stdout.strip()


def _patch(folder: Path) -> int:
    digits = folder.name.rpartition(".")[2]
    return int(digits) if digits.isdigit() else -1


def impossible(old: Side, new: Side, *, python: str = "") -> str:
    """Why a pair cannot be had here; empty if nothing speaks against it. Downloads nothing.

    Args:
        old: one side.
        new: the other one.
        python: a Python such as ``3.12``, or an interpreter, that environments must be built with.
    """
    reasons: list[str] = []
    for side in (old, new):
        try:
            fits = _fits(side, python)
            if not (installers.uv_command() or _first(fits)):
                raise _none_here(side)
        except BenchError as error:
            if error.message not in reasons:
                reasons.append(error.message)
    return "\n".join(reasons)


def choose(
    old: Side, new: Side, *, python: str = "", say: Callable[[str], None] = lambda _: None
) -> tuple[Interpreter, Interpreter]:
    """The interpreters of a pair: one for both if there is one, this process' own before others.

    Args:
        old: one side.
        new: the other one.
        python: as of :func:`impossible`.
        say: told when uv downloads an interpreter.

    Raises:
        BenchError: a side cannot be had.
    """
    one, other = _fits(old, python), _fits(new, python)
    common = {minor: one[minor] or other[minor] for minor in one if minor in other}
    both = _first(common)
    if both:
        return one.get(both.minor) or both, other.get(both.minor) or both
    if common and installers.uv_command():
        try:
            brought = _download(next(iter(common)), say)
        except BenchError as error:
            say(str(error))
        else:
            return brought, brought
    first, second = _own_python(old, one, say), _own_python(new, other, say)
    say(
        f"no Python for both sides: {first.version} for {old.label}, {second.version} for {new.label}; "
        "speeds outside TensorFlow's own code may differ for that reason"
    )
    return first, second


def _own_python(
    side: Side, fits: dict[int, Interpreter | None], say: Callable[[str], None]
) -> Interpreter:
    """One that is here, else one that uv brings.

    Raises:
        BenchError: neither.
    """
    found = _first(fits)
    if found:
        return found
    if installers.uv_command():
        return _download(next(iter(fits)), say)
    raise _none_here(side)


def _first(fits: dict[int, Interpreter | None]) -> Interpreter | None:
    """The first that is given or found on this machine."""
    return next(filter(None, (given or find(minor) for minor, given in fits.items())), None)


def _fits(side: Side, python: str) -> dict[int, Interpreter | None]:
    """Python 3.x on which a side can run, best first, with the interpreter where there is no choice.

    Raises:
        BenchError: there is none.
    """
    if side.python:
        found = probe(side.python)
        if not OWN_PYTHONS[0] <= found.minor <= OWN_PYTHONS[1]:
            raise BenchError(
                f"{side.python} is Python {found.version}, and bench runs on "
                f"{span(range(OWN_PYTHONS[0], OWN_PYTHONS[1] + 1))}"
            )
        return {found.minor: found}
    reason = refusal(side)
    if reason:
        raise BenchError(reason)
    minors = pythons(side)
    given = _given(python)
    if given:
        if given.minor not in minors:
            raise BenchError(
                f"{side.label} has wheels for Python {span(minors)}, not for {given.version}"
            )
        return {given.minor: given}
    return dict.fromkeys(sorted(minors, key=lambda minor: (minor != RUNNING, -minor)))


def _given(python: str) -> Interpreter | None:
    """The interpreter that a person asked for by version or path.

    Raises:
        BenchError: there is none here.
    """
    if not python:
        return None
    major, _, minor = python.partition(".")
    if not (major == "3" and minor.isdigit()):
        return probe(str(Path(python).expanduser().absolute()))
    found = find(int(minor))
    if found is None:
        raise BenchError(f"no Python {python} on this machine", hint="give an interpreter's path")
    return found


def _none_here(side: Side) -> BenchError:
    return BenchError(
        f"{side.label} has wheels for Python {span(pythons(side))}; none of them is on this machine, "
        "and without uv none can be downloaded"
    )


def _download(minor: int, say: Callable[[str], None]) -> Interpreter:
    """A Python that uv brings.

    Raises:
        BenchError: it cannot.
    """
    say(f"no Python 3.{minor} on this machine: uv downloads one")
    uv = installers.uv_command()
    done = installers.run([*uv, "python", "install", "--quiet", f"3.{minor}"])
    if done.returncode:
        raise BenchError(
            f"uv could not download Python 3.{minor}:\n{done.stderr.strip()}",
            hint="install one yourself, so that it is on PATH",
        )
    done = installers.run([*uv, "python", "find", "--no-python-downloads", f"3.{minor}"])
    return probe(done.stdout.strip())
