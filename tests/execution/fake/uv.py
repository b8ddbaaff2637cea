"""A stand-in for uv over a folder of wheels, $FAKE_INDEX; notes each call in $FAKE_LOG.

Where $FAKE_STUCK names a file, an installation makes that file halfway and then waits to be killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


def main() -> int:
    arguments = [one for one in sys.argv[1:] if not one.startswith("--")]
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(" ".join(sys.argv[1:]) + "\n")
    if "--version" in sys.argv:
        print("uv 0.0.0 (fake)")
        return 0
    python = sys.argv[sys.argv.index("--python") + 1] if "--python" in sys.argv else ""
    if arguments[0] == "venv":
        return subprocess.run(
            [python, "-m", "venv", "--without-pip", arguments[-1]], check=True
        ).returncode
    if arguments[:2] == ["pip", "compile"]:
        return compile_lock(sys.stdin.read().splitlines(), "--no-deps" not in sys.argv)
    if arguments[:2] == ["pip", "install"]:
        return install(sys.stdin.read().splitlines(), Path(python))
    print("error: this fake knows no such thing", file=sys.stderr)
    return 2


def wheels() -> dict[str, dict[Version, Path]]:
    found: dict[str, dict[Version, Path]] = {}
    for path in Path(os.environ["FAKE_INDEX"]).glob("*.whl"):
        name, version, *_ = path.name.split("-")
        found.setdefault(canonicalize_name(name), {})[Version(version)] = path
    return found


def compile_lock(texts: list[str], dependencies: bool) -> int:
    index, chosen, todo = wheels(), {}, [Requirement(text) for text in texts]
    wanted: dict[str, list[Requirement]] = {}
    while todo:
        one = todo.pop(0)
        name = canonicalize_name(one.name)
        wanted.setdefault(name, []).append(one)
        fits = [
            version
            for version in index.get(name, {})
            if all(other.specifier.contains(version) for other in wanted[name])
        ]
        if not fits:
            because = " and ".join(str(other) for other in wanted[name])
            print(f"error: No solution found: you require {because}", file=sys.stderr)
            return 1
        if chosen.get(name) != max(fits):
            chosen[name] = max(fits)
            with zipfile.ZipFile(index[name][max(fits)]) as wheel:
                member = next(one for one in wheel.namelist() if one.endswith("METADATA"))
                metadata = message_from_bytes(wheel.read(member))
            if dependencies:
                todo += [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
    print("\n".join(f"{name}=={version}" for name, version in chosen.items()))
    return 0


def install(lines: list[str], python: Path) -> int:
    (site,) = python.parents[1].glob("lib/python3.*/site-packages")
    for index, line in enumerate(lines):
        name, _, version = line.partition("==")
        with zipfile.ZipFile(wheels()[name][Version(version)]) as wheel:
            wheel.extractall(site)
        stuck = os.environ.get("FAKE_STUCK")
        if stuck and index == len(lines) // 2:
            Path(stuck).touch()
            time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
