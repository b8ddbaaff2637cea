"""The installers that make environments: uv where there is one, else venv and pip.

Both do the same three things: make a virtual environment, resolve requirements to a complete lock, and
install a lock as it stands. Nothing is built from source: that would run code of packages while
resolving, and take minutes where a wheel takes seconds.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name

from bench.errors import BenchError

#: They would lead an installer, or the interpreter it starts, to another environment.
_ASTRAY = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
)
_RESOLVE_HINT = (
    "relax or change a requirement that is named above; if it is the package index that did not "
    "answer, try again, or set the installer's own index options"
)


class Installer(Protocol):
    """What makes an environment."""

    name: str

    def create(self, python: str, folder: Path) -> None:
        """Makes an empty virtual environment of an interpreter."""

    def resolve(self, requirements: Sequence[str], folder: Path, *, dependencies: bool) -> str:
        """The lock of some requirements in an environment: sorted lines ``name==version``."""

    def install(self, lock: str, folder: Path) -> None:
        """Installs exactly what a lock names."""


def run(
    command: Sequence[str], *, stdin: str = "", folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """One command of an installer, away from the variables that would lead it astray."""
    environment = {name: value for name, value in os.environ.items() if name not in _ASTRAY}
    environment |= {"NO_COLOR": "1", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        list(command), input=stdin, capture_output=True, text=True, env=environment, cwd=folder
    )


def _must(command: Sequence[str], what: str, hint: str, *, stdin: str = "", folder: Path) -> str:
    """What a command prints.

    Raises:
        BenchError: it failed; with its own words.
    """
    try:
        done = run(command, stdin=stdin, folder=folder)
    except OSError as error:
        raise BenchError(f"{what}: {command[0]}: {error.strerror}", hint=hint) from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").strip()
        raise BenchError(f"{what}:\n{words}", hint=hint)
    return done.stdout


def uv_command() -> list[str]:
    """How uv is called: from PATH, or as a module of this interpreter; empty: there is none."""
    return list(_uv_command(os.environ.get("PATH", "")))


@functools.lru_cache(maxsize=8)
def _uv_command(path: str) -> tuple[str, ...]:
    found = shutil.which("uv", path=path)
    candidates = [(found,)] if found else []
    commands: list[tuple[str, ...]] = [*candidates]
    if importlib.util.find_spec("uv") is not None:
        commands.append((sys.executable, "-m", "uv"))
    for command in commands:
        try:  # a version manager's stand-in is on PATH also where no uv is behind it
            if run([*command, "--version"]).returncode == 0:
                return command
        except OSError:
            continue
    return ()


def installer() -> Installer:
    """uv if there is one, else pip."""
    command = uv_command()
    return Uv(command) if command else Pip()


def python_of(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "bin" / "python"


class Uv:
    """uv, by its command."""

    name = "uv"

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    def create(self, python: str, folder: Path) -> None:
        """Raises :class:`BenchError` if it cannot be made."""
        command = [*self._command, "venv", "--quiet", "--relocatable", "--python", python]
        _must([*command, folder.name], f"uv venv with {python}", "", folder=folder.parent)

    def resolve(self, requirements: Sequence[str], folder: Path, *, dependencies: bool) -> str:
        """Raises :class:`BenchError` with uv's explanation of a conflict."""
        command = [*self._command, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--only-binary", ":all:", "--python", str(python_of(folder))]
        command += [] if dependencies else ["--no-deps"]
        printed = _must(
            [*command, "-"],
            f"uv finds no versions for {' '.join(requirements)}",
            _RESOLVE_HINT,
            stdin="\n".join(requirements),
            folder=folder.parent,
        )
        lines = [line.split("#")[0].strip() for line in printed.splitlines()]
        pairs = [line.partition("==") for line in lines if line]
        return lock_of({name: version for name, _, version in pairs})

    def install(self, lock: str, folder: Path) -> None:
        """Raises :class:`BenchError` with uv's words."""
        command = [*self._command, "pip", "install", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--python", str(python_of(folder)), "-r", "-"]
        hint = "see whether the package index answers and the disk has room"
        _must(command, "uv could not install", hint, stdin=lock, folder=folder.parent)


class Pip:
    """The venv and pip that come with an interpreter."""

    name = "pip"

    def create(self, python: str, folder: Path) -> None:
        """Raises :class:`BenchError` where the interpreter came without venv or pip."""
        hint = "install uv, or the interpreter's own venv and pip (Debian: python3-venv)"
        command = [python, "-I", "-m", "venv", folder.name]
        _must(command, f"venv of {python}", hint, folder=folder.parent)
        version = _must(self._pip(folder, "--version"), "pip", hint, folder=folder.parent)
        if [int(part) for part in version.split()[1].split(".")[:2]] < [22, 2]:
            command = self._pip(
                folder, "install", "--quiet", "pip>=22.2"
            )  # the first with --report
            _must(command, "pip could not renew itself", _RESOLVE_HINT, folder=folder.parent)

    def resolve(self, requirements: Sequence[str], folder: Path, *, dependencies: bool) -> str:
        """Raises :class:`BenchError` with pip's explanation of a conflict."""
        report, wanted = folder.parent / "report.json", folder.parent / "requirements.txt"
        wanted.write_text("\n".join(requirements) + "\n")
        command = self._pip(folder, "install", "--quiet", "--dry-run", "--ignore-installed")
        command += ["--only-binary", ":all:", "--report", str(report), "-r", str(wanted)]
        command += [] if dependencies else ["--no-deps"]
        what = f"pip finds no versions for {' '.join(requirements)}"
        _must(command, what, _RESOLVE_HINT, folder=folder.parent)
        found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
        return lock_of({one["name"]: one["version"] for one in found})

    def install(self, lock: str, folder: Path) -> None:
        """Raises :class:`BenchError` with pip's words."""
        wanted = folder.parent / "lock.txt"
        wanted.write_text(lock)
        command = self._pip(folder, "install", "--quiet", "--no-deps", "--no-compile")
        command += ["--only-binary", ":all:", "-r", str(wanted)]
        hint = "see whether the package index answers and the disk has room"
        _must(command, "pip could not install", hint, folder=folder.parent)

    def _pip(self, folder: Path, *arguments: str) -> list[str]:
        return [str(python_of(folder)), "-I", "-m", "pip", *arguments]


def lock_of(versions: dict[str, str]) -> str:
    """A lock: one line ``name==version`` for each distribution, sorted, names normalized."""
    lines = sorted(f"{canonicalize_name(name)}=={version}" for name, version in versions.items())
    return "".join(f"{line}\n" for line in lines)
