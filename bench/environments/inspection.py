"""What is installed for an interpreter, read without importing any of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping

import msgspec
from packaging.requirements import Requirement
from packaging.version import Version

from bench.environments.own_copy import needed
from bench.environments.requirements import (
    FIRST_TENSORFLOW,
    TENSORFLOWS,
    Side,
    lock_of,
    lock_versions,
)
from bench.errors import BenchError

_INSPECT_TIMEOUT_SEC = 300.0
_INSPECT = """
import importlib.metadata, importlib.util, json, platform, sys
found = {}
for one in importlib.metadata.distributions():
    if one.metadata["Name"]:
        found.setdefault(one.metadata["Name"], one.version)
missing = [name for name in json.loads(sys.argv[1]) if importlib.util.find_spec(name) is None]
print()
print(json.dumps({"python": platform.python_version(), "found": found, "missing": missing}))
"""


class Seen(msgspec.Struct, frozen=True):
    """What an interpreter tells of itself."""

    python: str
    found: dict[str, str]
    missing: list[str]

    @property
    def lock(self) -> str:
        return lock_of(self.found)


def training_variables(side: Side, path: str) -> dict[str, str]:
    """Variables of training processes: ours, by which the environment is what it is, win."""
    return {**side.variables, "PYTHONPATH": path, "PYTHONHOME": "", "PYTHONSAFEPATH": "1"}


def inspect(python: str, variables: Mapping[str, str], modules: tuple[str, ...] = ()) -> Seen:
    """What an interpreter finds, importing none of it.

    Args:
        python: the interpreter.
        variables: under which it is started.
        modules: names to look for.

    Raises:
        BenchError: it does not start.
    """
    hint = "see whether this interpreter starts at all"
    with tempfile.TemporaryDirectory() as nowhere:  # Python 3.10 looks into its working directory
        try:
            done = subprocess.run(
                [python, "-c", _INSPECT, json.dumps(modules)],
                capture_output=True,
                text=True,
                env={**os.environ, **variables},
                cwd=nowhere,
                timeout=_INSPECT_TIMEOUT_SEC,
            )
            if done.returncode == 0:
                return msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Seen)
            reason = done.stderr.strip() or f"exit status {done.returncode}"
        except (OSError, IndexError, msgspec.DecodeError, subprocess.SubprocessError) as error:
            reason = str(error)
    raise BenchError(f"{python} does not tell what is installed: {reason}", hint=hint)


def check_existing(python: str, seen: Seen) -> None:
    """Raises :class:`BenchError` with the remedy unless all that a training process needs is there."""
    found = lock_versions(seen.lock)
    short = {}
    for name, requirement in needed().items():
        fits = Requirement(requirement).specifier.contains
        version = found.get(name)
        if name in seen.missing or (version and not fits(version, prereleases=True)):
            short[requirement] = version or "none"
    lacking = [f"{requirement} (there is {there})" for requirement, there in short.items()]
    # Keras comes with TensorFlow, and is named where it alone was taken away.
    absent = [name for name in ("tensorflow", "keras") if name in seen.missing][:1]
    if lacking or absent:
        remedy = " ".join(repr(text) for text in [*short, *absent])
        raise BenchError(
            f"{python} lacks {', '.join([*lacking, *absent])}",
            hint=f"{python} -m pip install {remedy}",
        )
    version = next((found[name] for name in TENSORFLOWS if name in found), "")
    if version and Version(version) < Version(f"2.{FIRST_TENSORFLOW}.dev0"):
        raise BenchError(
            f"{python} has TensorFlow {version}, and bench is made for 2.{FIRST_TENSORFLOW} and later"
        )
