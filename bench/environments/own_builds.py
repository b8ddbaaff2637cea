"""Packages that are no release of the usual index: a wheel file, a folder of Keras' source, what
another index has.

Locks record them by hash, which their versions carry: ``keras==3.16.0+sha256.1f0c...`` is what a folder
of that content was built to, and other content is another environment. Of a package that comes from
another index, the hashes count that this index announces for the release.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from bench.environments.bench_copy import hash_files
from bench.errors import BenchError

#: Digits of a hash in a version: 48 bits.
_DIGITS = 12
_HASH = re.compile(r"[+.]sha256\.[0-9a-f]+$")
_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")


def is_index(word: str) -> bool:
    """Whether a word is the address of a package index."""
    return word.startswith(("https://", "http://", "file://")) and not word.endswith(".whl")


def without_password(index: str) -> str:
    """The address of an index as it may be shown and kept."""
    return re.sub(r"(?<=://)[^/@]+@", "", index)


def own_build(word: str) -> tuple[str, str] | None:
    """The requirement that a wheel file or a folder of Keras' source stands for, and its absolute path;
    None if the word is neither.

    Raises:
        BenchError: it looks like one, and cannot be used.
    """
    try:
        path = Path(word).expanduser().absolute()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError, ValueError):  # too long, nobody's home, a NUL
        return None
    if word.endswith(".whl") and "@" not in word:
        if not is_file:
            raise BenchError(f"{path}: there is no such wheel", hint="give the path of a file")
        try:
            name, version, *_ = parse_wheel_filename(path.name)
        except InvalidWheelFilename as error:
            raise BenchError(f"{error}", hint="a wheel keeps the name it was built by") from None
        return f"{name}=={version}", str(path)
    if "/" in word and is_folder:
        if not (path / "keras").is_dir() or not (path / "pyproject.toml").is_file():
            raise BenchError(
                f"{path}: no checkout of Keras: a folder keras and a pyproject.toml are expected",
                hint="build a wheel of anything else, and give its path",
            )
        return "keras", str(path)
    return None


def labelled(version: str, digest: str) -> str:
    """A version that carries a hash, by the rules of local versions."""
    return f"{version}{'.' if '+' in version else '+'}sha256.{digest[:_DIGITS]}"


def bare(version: str) -> str:
    """A version without the hash that it carries."""
    return _HASH.sub("", version)


def digest(path: str) -> str:
    """The hash of a wheel file, or of all that a folder's package is built from.

    Raises:
        OSError: it cannot be read.
    """
    place = Path(path)
    if place.is_file():
        return hashlib.sha256(place.read_bytes()).hexdigest()
    parts = [hash_files(place / "keras"), (place / "pyproject.toml").read_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def hashes_from(annotated: str, index: str) -> Mapping[str, str]:
    """Of packages that come from an index, a hash over those that it announces, by name.

    Args:
        annotated: what ``uv pip compile --generate-hashes --emit-index-annotation`` wrote.
        index: its address.
    """
    found: dict[str, str] = {}
    name, hashes = "", list[str]()
    for line in annotated.splitlines():
        if match := _LINE.match(line):
            name, hashes = match["name"], []
        hashes += re.findall(r"--hash=sha256:([0-9a-f]+)", line)
        if line.strip().startswith("# from ") and _alike(line.strip()[len("# from ") :], index):
            found[name] = hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
    return found


def with_hashes(versions: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, str]:
    """Versions of which those with a hash carry it."""
    return {
        name: labelled(version, digests[name]) if name in digests else version
        for name, version in versions.items()
    }


def installable(lock: str, wheels: Mapping[str, Path]) -> str:
    """A lock's lines as an installer takes them: files by their address, versions without hashes."""
    return "\n".join(_installable(lock.splitlines(), wheels))


def _installable(lines: Iterable[str], wheels: Mapping[str, Path]) -> Iterable[str]:
    for line in lines:
        name, _, version = line.partition("==")
        wheel = wheels.get(name)
        yield f"{name} @ {wheel.absolute().as_uri()}" if wheel else f"{name}=={bare(version)}"


def _alike(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
