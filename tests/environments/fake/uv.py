"""A stand-in for uv over a folder of wheels, $FAKE_INDEX; notes each call in $FAKE_LOG.

Where $FAKE_STUCK names a file, an installation makes that file halfway and then waits to be killed.
Where $FAKE_MEETING names a folder, an installation waits there for a second one.
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
        return venv(python, Path(arguments[-1]))
    if arguments[:2] == ["pip", "compile"]:
        return compile_lock(sys.stdin.read().splitlines(), "--no-deps" not in sys.argv)
    if arguments[:2] == ["pip", "install"]:
        return install(sys.stdin.read().splitlines(), Path(python))
    print("error: this fake knows no such thing", file=sys.stderr)
    return 2


def venv(python: str, folder: Path) -> int:
    """What makes a virtual environment, and none of the scripts that come with one."""
    code = "import sys; print(sys._base_executable, sys.version_info.minor)"
    done = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True)
    base, minor = done.stdout.split()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(base)
    (folder / f"lib/python3.{minor}/site-packages").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(base).parent}\n")
    return 0


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
    if "FAKE_MEETING" in os.environ:
        meet(Path(os.environ["FAKE_MEETING"]))
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


def meet(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > deadline:
            sys.exit("error: nobody came")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
