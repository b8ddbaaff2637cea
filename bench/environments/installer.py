"""uv: it finds Pythons, makes virtual environments, resolves requirements and installs them.

uv does not read pip's configuration, and many machines reach a package index by that alone. So pip's
settings of how packages are reached are handed on to uv, unless uv has variables of its own for it.

Nothing is built from source: that would run code of packages while resolving, and take minutes where a
wheel takes seconds.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from uv import find_uv_bin

from bench.environments.own_builds import hashes_from
from bench.environments.requirements import lock_versions
from bench.errors import BenchError

#: Variables that would lead uv, or the interpreter it starts, to another environment.
_ASTRAY = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
)
#: pip's settings of how packages are reached, uv's variables for the same, and what joins their values.
_FROM_PIP = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("cert", "SSL_CERT_FILE", " "),
    ("client-cert", "SSL_CLIENT_CERT", " "),
    ("proxy", "ALL_PROXY", " "),
    ("default-timeout", "UV_HTTP_TIMEOUT", " "),
    ("timeout", "UV_HTTP_TIMEOUT", " "),
)
#: Variables of uv that say where packages are; if one is set, pip's settings of that are not for uv.
_INDEXES = {
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_FIND_LINKS",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
}
_RESOLVE_HINT = (
    "relax or change a requirement that is named above; if it is the package index that did not "
    "answer, try again, or set pip's or uv's own index options"
)
#: What tools leave in a checkout, and what is no source.
_BUILT = ("build", "dist", "*.egg-info", "__pycache__", ".git", ".venv", "venv")
_WHEELS_ONLY = ("--only-binary", ":all:")


def run(
    *arguments: str, what: str, hint: str = "", stdin: str = "", folder: Path | None = None
) -> str:
    """Calls uv.

    Args:
        arguments: uv's own.
        what: what is not done if uv fails, for the message.
        hint: the way out.
        stdin: what uv reads.
        folder: where it runs; None: nowhere in particular, away from the settings of any project.

    Returns:
        what uv prints.

    Raises:
        BenchError: uv failed; the message has its own explanation.
    """
    variables = {name: value for name, value in os.environ.items() if name not in _ASTRAY}
    try:
        done = subprocess.run(
            [find_uv_bin(), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=_variables_of_pip() | variables | {"NO_COLOR": "1", "PATH": _search_path()},
            cwd=folder or tempfile.gettempdir(),
        )
    except OSError as error:
        raise BenchError(f"{what}: uv does not start: {error}", hint="install uv again") from None
    if done.returncode:
        reason = done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}"
        raise BenchError(f"{what}:\n{reason}", hint=hint)
    return done.stdout


def create(python: str, folder: Path) -> None:
    """Makes an empty virtual environment of an interpreter.

    Raises:
        BenchError: it cannot be made.
    """
    what = f"no virtual environment of {python}"
    run("venv", "--quiet", "--relocatable", "--python", python, str(folder), what=what)


class Resolved(NamedTuple):
    """What requirements were resolved to."""

    versions: dict[str, str]
    """By distribution; those that were given as files are left out."""
    hashes: dict[str, str]
    """By distribution, of what comes from an index that was named."""


_PINNED = re.compile(r"^[A-Za-z0-9._-]+==")


def resolve(
    requirements: Sequence[str],
    python: str,
    *,
    dependencies: bool,
    folder: Path,
    preferred: str = "",
    index: str = "",
) -> Resolved:
    """Versions, by distribution, that fulfil some requirements on an interpreter.

    Args:
        requirements: name and versions of each.
        python: the interpreter.
        dependencies: whether what they require is resolved, too.
        folder: where uv runs, and leaves a file.
        preferred: a lock whose versions are taken where the requirements allow them.
        index: the address of an index that goes before others.

    Raises:
        BenchError: there are none, with uv's explanation of the conflict.
    """
    output = folder / "resolved.txt"
    output.write_text(preferred)  # what is there already, uv keeps if it can
    run(
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", python),
        *("--output-file", str(output), *([] if dependencies else ["--no-deps"])),
        *(("--generate-hashes", "--emit-index-annotation", "--index", index) if index else ()),
        *(*_WHEELS_ONLY, *_index_arguments(), "-"),
        what=f"uv finds no versions for {' '.join(requirements)}",
        hint=_RESOLVE_HINT,
        stdin="\n".join(requirements),
        folder=folder,
    )
    text = output.read_text()
    lines = (line.split(" ")[0] for line in text.splitlines() if _PINNED.match(line))
    return Resolved(
        versions=dict(lock_versions("\n".join(lines))),
        hashes=dict(hashes_from(text, index)) if index else {},
    )


def build_wheel(source: Path, python: str, folder: Path) -> Path:
    """Builds a wheel of a copy of a folder of source; that runs code of the package.

    Args:
        source: the folder, which is left as it is; what was built there before is no part of the wheel.
        python: the interpreter.
        folder: where the wheel is left.

    Raises:
        BenchError: it cannot be built, with uv's explanation.
    """
    copy = folder / "source"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*_BUILT))
    run(
        *("build", "--wheel", "--quiet", "--python", python, "--out-dir", str(folder)),
        *(*_index_arguments(), str(copy)),
        what=f"{source}: uv could not build a wheel of it",
        hint="build one yourself, as the package's developers do, and give the path of the wheel",
    )
    return next(folder.glob("*.whl"))


def install(packages: str, python: Path, *, folder: Path, index: str = "") -> None:
    """Installs exactly what lines name into the virtual environment of ``python``.

    Args:
        packages: a line each: an exact version, or the address of a file.
        python: the interpreter.
        folder: where uv runs.
        index: the address of an index that goes before others.

    Raises:
        BenchError: it cannot be installed, with uv's explanation.
    """
    run(
        *("pip", "install", "--quiet", "--no-deps", "--python", str(python)),
        *(*_WHEELS_ONLY, *_index_arguments(), *(("--index", index) if index else ()), "-r", "-"),
        what="uv could not install",
        hint="see whether the package index answers and the disk has room",
        stdin=packages,
        folder=folder,
    )


@functools.lru_cache(maxsize=1)
def pip_settings() -> dict[str, str]:
    """pip's settings by name, such as ``index-url``: of its files, and before these of its variables.

    Raises:
        BenchError: pip's configuration cannot be read.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        raise BenchError(
            f"pip's settings, by which packages are reached, cannot be read:\n{done.stderr.strip()}",
            hint="mend what is named above; `python -m pip config debug` lists pip's files",
        )
    settings = {}
    for section in ("global", "install", ":env:"):  # later ones win, as for `pip install`
        for line in done.stdout.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                settings[name.removeprefix(f"{section}.")] = ast.literal_eval(value)
    return settings


class Sources(NamedTuple):
    """Where packages are looked for, as uv is told."""

    default: str
    """Address of the index that others add to; empty for the public one."""
    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    trusted: tuple[str, ...]
    """Hosts whose certificate is not verified."""
    alone: bool
    """Whether there is no index at all, only ``find_links``."""
    certificates: str = ""
    """File of authorities' certificates; empty for the usual ones."""
    client_certificate: str = ""
    proxy: str = ""


def sources() -> Sources:
    """Indexes and folders of wheels that uv and pip are configured for, by variables and pip's files.

    Raises:
        BenchError: pip's configuration cannot be read.
    """
    known = _variables_of_pip() | dict(os.environ)

    def words(*names: str) -> tuple[str, ...]:
        return tuple(
            word for name in names for word in re.split(r"[\s,]+", known.get(name, "")) if word
        )

    def address(word: str) -> str:  # uv's indexes may have names: NAME=URL
        return _INDEX_NAME.sub("", word)

    default = known.get("UV_DEFAULT_INDEX") or known.get("UV_INDEX_URL") or ""
    return Sources(
        default=address(default),
        indexes=tuple(map(address, words("UV_INDEX", "UV_EXTRA_INDEX_URL"))),
        find_links=words("UV_FIND_LINKS"),
        trusted=words("UV_INSECURE_HOST"),
        alone=bool(_index_arguments()),
        certificates=known.get("SSL_CERT_FILE", ""),
        client_certificate=known.get("SSL_CLIENT_CERT", ""),
        proxy=known.get("ALL_PROXY", ""),
    )


_INDEX_NAME = re.compile(r"^[A-Za-z0-9._-]+=")


def _variables_of_pip() -> dict[str, str]:
    """uv's variables for how pip reaches packages."""
    pip = pip_settings()
    variables = {}
    for setting, name, joint in _FROM_PIP:
        values = pip.get(setting, "").split()
        if setting == "find-links":  # pip passes over folders that are not there
            values = [_absolute(value) for value in values]
            values = [value for value in values if "://" in value or os.path.exists(value)]
        if values and not (name in _INDEXES and _uv_knows_indexes()):
            variables[name] = joint.join(values)
    if "UV_INDEX" in variables:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # the best version of all, as pip does
    return variables


def _index_arguments() -> list[str]:
    """What uv takes by no variable."""
    no_index = pip_settings().get("no-index", "").lower() in ("1", "true", "yes", "y", "on", "t")
    return ["--no-index"] if no_index and not _uv_knows_indexes() else []


def _uv_knows_indexes() -> bool:
    return any(os.environ.get(name) for name in _INDEXES)


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).expanduser().absolute())


def _search_path() -> str:
    """PATH, then pyenv's Pythons: of its commands on PATH only those start that are switched on."""
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    pythons = sorted(root.glob("versions/3.*/bin"), reverse=True)
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, pythons)])
