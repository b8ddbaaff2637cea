"""What is installed for an interpreter, read without importing any of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.version import Version

from bench.environments.bench_copy import needed
from bench.environments.requirements import (
    FIRST_TENSORFLOW,
    TENSORFLOWS,
    Side,
    lock_of,
    lock_versions,
)
from bench.errors import BenchError

_TIMEOUT_SEC = 300.0
_INSPECT = """
import importlib.metadata, importlib.util, json, platform, sys
versions = {}
for one in importlib.metadata.distributions():
    if one.metadata["Name"]:
        versions.setdefault(one.metadata["Name"], one.version)
missing = [name for name in json.loads(sys.argv[1]) if importlib.util.find_spec(name) is None]
print()
print(json.dumps({"python": platform.python_version(), "versions": versions, "missing": missing}))
"""


class Installed(msgspec.Struct, frozen=True):
    """What an interpreter says of itself."""

    python: str
    """The version of Python, for instance ``3.11.7``."""
    versions: dict[str, str]
    """Versions by distribution."""
    missing: list[str]
    """Modules that were asked for and are not there."""

    @property
    def lock(self) -> str:
        """All that is installed: sorted lines ``name==version``."""
        return lock_of(self.versions)


def training_variables(side: Side, copy: Path) -> dict[str, str]:
    """Environment variables of a side's training processes, which import bench from ``copy``.

    Those by which the environment is what it is win over the side's.
    """
    return {**side.variables, "PYTHONPATH": str(copy), "PYTHONHOME": "", "PYTHONSAFEPATH": "1"}


def inspect(python: str, variables: Mapping[str, str], modules: tuple[str, ...] = ()) -> Installed:
    """What is installed for an interpreter; none of it is imported.

    Args:
        python: the interpreter.
        variables: under which it is started.
        modules: names to look for.

    Raises:
        BenchError: it does not start.
    """
    with tempfile.TemporaryDirectory() as nowhere:  # Python 3.10 looks into its working directory
        try:
            done = subprocess.run(
                [python, "-c", _INSPECT, json.dumps(modules)],
                capture_output=True,
                text=True,
                env={**os.environ, **variables},
                cwd=nowhere,
                timeout=_TIMEOUT_SEC,
            )
            if done.returncode == 0:
                return msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Installed)
            reason = done.stderr.strip() or f"exit status {done.returncode}"
        except (OSError, IndexError, msgspec.DecodeError, subprocess.SubprocessError) as error:
            reason = str(error)
    raise BenchError(
        f"{python} does not tell what is installed: {reason}",
        hint="see whether this interpreter starts at all",
    )


#: Labels of addresses in a package's metadata by which a changelog is found (PEP 753), the best first.
_CHANGELOGS = ("changelog", "releasenotes", "changes", "whatsnew", "history")
#: Labels of addresses of the repository; "Download-URL" is a field of its own.
_REPOSITORIES = ("repository", "source", "sourcecode", "github", "code", "homepage", "download")
_REPOSITORY = re.compile(r"https://github\.com/[^/]+/[^/#?]+")
_ADDRESSES = """
import importlib.metadata, json, sys
found = importlib.metadata.metadata(sys.argv[1])
pairs = [one.partition(",")[::2] for one in found.get_all("Project-URL") or []]
pairs += [("homepage", found["Home-page"] or ""), ("download", found["Download-URL"] or "")]
print(json.dumps(pairs))
"""


def changelog(python: str, package: str) -> str:
    """The address where a package tells of its releases, as its metadata has it: a changelog, or the
    releases of its repository; empty if there is none.

    Args:
        python: an interpreter for which the package is installed.
        package: name of the distribution.
    """
    done = subprocess.run(
        [python, "-c", _ADDRESSES, package],
        capture_output=True,
        text=True,
        cwd=tempfile.gettempdir(),
        timeout=_TIMEOUT_SEC,
    )
    if done.returncode:
        return ""
    known = {
        re.sub(r"[^a-z]", "", label.lower()): address.strip()
        for label, address in json.loads(done.stdout)
    }
    named = [known[label] for label in _CHANGELOGS if known.get(label)]
    found = (_REPOSITORY.match(known.get(label, "")) for label in _REPOSITORIES)
    named += [f"{match[0].removesuffix('.git')}/releases" for match in found if match]
    return next(iter(named), "")


def check_existing(python: str, installed: Installed) -> None:
    """Checks that an interpreter has all that a training process needs.

    Raises:
        BenchError: something is absent or too old; with the command that installs it.
    """
    versions = lock_versions(installed.lock)
    short = {}
    for name, requirement in needed().items():
        fits = Requirement(requirement).specifier.contains
        version = versions.get(name)
        if name in installed.missing or (version and not fits(version, prereleases=True)):
            short[requirement] = version or "none"
    lacking = [f"{requirement} (there is {version})" for requirement, version in short.items()]
    # Keras comes with TensorFlow, and is named where it alone was taken away.
    absent = [name for name in ("tensorflow", "keras") if name in installed.missing][:1]
    if lacking or absent:
        remedy = " ".join(repr(text) for text in [*short, *absent])
        raise BenchError(
            f"{python} lacks {', '.join([*lacking, *absent])}",
            hint=f"{python} -m pip install {remedy}",
        )
    version = next((versions[name] for name in TENSORFLOWS if name in versions), "")
    if version and Version(version) < Version(f"2.{FIRST_TENSORFLOW}.dev0"):
        raise BenchError(
            f"{python} has TensorFlow {version}, and bench is made for 2.{FIRST_TENSORFLOW} and later"
        )
