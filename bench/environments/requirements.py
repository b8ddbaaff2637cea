"""One side of an upgrade, and what is known of it before anything is downloaded.

A side is what a person writes: ``2.20``, ``"tensorflow-cpu==2.21.0 keras==3.12.*"``, the path of an
interpreter, each with environment variables if need be. What is written here reaches an installer, so
beside names and versions only what :mod:`bench.environments.own_builds` knows passes: no options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from bench.environments.own_builds import is_index, own_build, without_password
from bench.errors import BenchError

#: Distributions that hold the module ``tensorflow``.
TENSORFLOWS = (
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-cpu-aws",
    "tensorflow-intel",
    "tensorflow-macos",
    "tensorflow-rocm",
    "tf-nightly",
    "tf-nightly-cpu",
)
#: Keras 2 for TensorFlow 2.16 and later.
LEGACY_KERAS = "tf-keras"
LEGACY_VARIABLE = "TF_USE_LEGACY_KERAS"
#: Python 3.x that bench itself runs on.
OWN_PYTHONS = (10, 13)
#: The first TensorFlow 2.x that bench is made for.
FIRST_TENSORFLOW = 12


class Release(NamedTuple):
    """What a minor release runs on."""

    pythons: tuple[int, int]
    """First and last Python 3.x with wheels, within :data:`OWN_PYTHONS`."""
    numpy: str = ""
    """NumPy versions, as a specifier."""


#: TensorFlow 2.x, from the wheels' tags and the metadata of each minor's last patch release. 2.14.0
#: sets no upper bound of NumPy, but is compiled for NumPy 1 like 2.14.1, which sets it.
TENSORFLOW = {
    12: Release((10, 11), ">=1.22,<=1.24.3"),
    13: Release((10, 11), ">=1.22,<=1.24.3"),
    14: Release((10, 11), ">=1.23.5,<2"),
    15: Release((10, 11), ">=1.23.5,<2"),
    16: Release((10, 12), ">=1.23.5,<2"),
    17: Release((10, 12), ">=1.23.5,<2"),
    18: Release((10, 12), ">=1.26,<2.1"),
    19: Release((10, 12), ">=1.26,<2.2"),
    20: Release((10, 13), ">=1.26"),
    21: Release((10, 13), ">=1.26"),
}
#: NumPy by major and minor: first and last Python 3.x with wheels, within :data:`OWN_PYTHONS`.
NUMPY = {
    (1, 22): (10, 10),
    (1, 23): (10, 11),
    (1, 24): (10, 11),
    (1, 25): (10, 11),
    (1, 26): (10, 12),
    (2, 0): (10, 12),
    (2, 1): (10, 13),
    (2, 2): (10, 13),
    (2, 3): (11, 13),
    (2, 4): (11, 13),
    (2, 5): (12, 13),
}
#: A release that the tables do not know is left to the installer.
_UNKNOWN = Release(OWN_PYTHONS)
#: Patch releases, more than any minor has had; that some do not exist changes no answer.
_PATCHES = range(10)
_MINORS = range(100)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"\s*(===|==|~=|!=|<=|>=|<|>|,)\s*")
#: No name that is of use here begins with a digit.
_BARE_VERSION = re.compile(r"\d.*|v\d+(\.\d+)*", re.IGNORECASE)
#: Variables that bench sets for every training process, so that users may not.
_OWN_VARIABLES = {
    "PYTHONPATH": "bench is found by it",
    "PYTHONHOME": "it belongs to the environment's own interpreter",
    "PYTHONSAFEPATH": "it keeps the working directory out of the environment",
    "KERAS_HOME": "settings in a home directory must not differ between the sides",
    "KERAS_BACKEND": "bench tests the tensorflow backend",
}


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side of an upgrade; made by :func:`parse_side`."""

    requirements: tuple[str, ...] = ()
    """Names with versions, normalized; empty for an existing interpreter."""
    python: str = ""
    """Absolute path of an existing interpreter, or empty."""
    variables: dict[str, str] = {}
    """Environment variables of its training processes."""
    files: tuple[str, ...] = ()
    """Absolute paths of wheels and of folders of Keras' source, which requirements name."""
    index: str = ""
    """Address of a package index that goes before others."""
    preferred: str = ""
    """A lock whose versions are taken where the requirements leave a choice."""

    @property
    def label(self) -> str:
        """Names the side in reports and messages."""
        settings = [f"{name}={value}" for name, value in self.variables.items()]
        own = [*self.files, without_password(self.index)]
        return " ".join(filter(None, [self.python, *self.requirements, *own, *settings]))

    @property
    def legacy_keras(self) -> bool:
        """Whether TensorFlow 2.16 and later are asked to use Keras 2."""
        return self.variables.get(LEGACY_VARIABLE, "").lower() in ("1", "true")

    def requirement(self, name: str) -> SpecifierSet | None:
        """Versions allowed of a distribution, or None if the side does not name it."""
        parsed = [Requirement(text) for text in self.requirements]
        named = [one.specifier for one in parsed if canonicalize_name(one.name) == name]
        return SpecifierSet(",".join(str(one) for one in named)) if named else None

    @property
    def tensorflow(self) -> str:
        """Name of the distribution that holds TensorFlow; empty for an existing interpreter."""
        names = {canonicalize_name(Requirement(text).name) for text in self.requirements}
        return next(iter(names & set(TENSORFLOWS)), "")


def parse_side(
    text: str = "",
    *,
    python: str = "",
    variables: Iterable[str] = (),
    package: str = "tensorflow-cpu",
) -> Side:
    """Reads and checks what a person wrote.

    Args:
        text: requirements, separated by white space: ``"tensorflow-cpu==2.21.0 keras>=3.5,<3.7"``. A
            bare version stands for ``package``: ``2.20`` is its newest 2.20, ``2.20.0`` that one. A
            wheel file, a folder of Keras' source and the address of an index may stand among them.
        python: an existing interpreter, or the folder of a virtual environment, instead of ``text``.
        variables: ``NAME=VALUE`` each.
        package: the distribution that bare versions are versions of.

    >>> parse_side("2.20 keras == 3.12.*").requirements
    ('tensorflow-cpu==2.20.*', 'keras==3.12.*')

    Raises:
        BenchError: nothing given, or both; unreadable; an option, address or file; no TensorFlow.
    """
    settings = dict(_variable(one) for one in variables)
    if python:
        if text.strip():
            raise BenchError(
                f"{text!r} and the interpreter {python}: a side is one or the other",
                hint="leave out the requirements, or the interpreter",
            )
        return Side(python=_interpreter(python), variables=settings)
    texts = _OPERATOR.sub(r"\1", text).split()
    if not texts:
        raise BenchError(
            "no requirements",
            hint="give a version such as 2.20, or requirements such as 'tensorflow-cpu==2.20.0'",
        )
    indexes = [one for one in texts if is_index(one)]
    if len(indexes) > 1:
        raise BenchError(
            f"{len(indexes)} package indexes for one side",
            hint="configure the others for uv or pip",
        )
    own = {one: found for one in texts if not is_index(one) and (found := own_build(one))}
    requirements = tuple(
        own[one][0] if one in own else _requirement(one, package)
        for one in texts
        if one not in indexes
    )
    side = Side(
        requirements=requirements,
        variables=settings,
        files=tuple(path for _, path in own.values()),
        index=next(iter(indexes), ""),
    )
    _check_tensorflow(side)
    return side


def _requirement(word: str, package: str) -> str:
    """One requirement, normalized to what installers cannot take for anything else.

    Raises:
        BenchError: it is none.
    """
    hint = "names and versions are taken, such as 'keras==3.12.*', wheel files, checkouts of Keras and "
    hint += "an index; for anything else build an environment yourself and give its interpreter"
    if word.startswith("-"):
        raise BenchError(f"{word!r} is an option, not a requirement", hint=hint)
    if any(sign in word for sign in ";@/\\:"):
        raise BenchError(f"{word!r} has a marker, an address or a path", hint=hint)
    if _BARE_VERSION.fullmatch(word):
        return f"{package}=={_bare(word)}"
    try:
        parsed = Requirement(word)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise BenchError(f"{word!r} is no requirement: {reason}", hint=hint) from None
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    specifier = ",".join(sorted(str(one) for one in parsed.specifier))
    return f"{canonicalize_name(parsed.name)}{extras}{specifier}"


def _bare(word: str) -> str:
    """The specifier ``2.20.*`` for ``2.20``; what names a patch or a pre-release stays.

    Raises:
        BenchError: it is no version, or only a major one.
    """
    try:
        version = Version(word)
    except InvalidVersion:
        raise BenchError(f"{word!r} is no version", hint="write it as 2.20 or 2.20.0") from None
    if len(version.release) < 2:
        raise BenchError(f"{word!r} leaves the minor version open", hint="write it as 2.20")
    whole = len(version.release) > 2 or version.is_prerelease or version.is_postrelease
    return str(version) if whole else f"{version}.*"


def _check_tensorflow(side: Side) -> None:
    names = {canonicalize_name(Requirement(text).name) for text in side.requirements}
    tensorflows = sorted(names.intersection(TENSORFLOWS))
    if not tensorflows:
        raise BenchError(
            f"{side.label!r} has no TensorFlow",
            hint=f"add a version such as 2.20, or one of {', '.join(TENSORFLOWS)}",
        )
    if len(tensorflows) > 1:
        raise BenchError(
            f"{side.label!r} has {' and '.join(tensorflows)}, which overwrite each other",
            hint="name one of them",
        )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name) or "\0" in value:
        raise BenchError(
            f"{text!r} is no environment variable", hint="write it as TF_ENABLE_ONEDNN_OPTS=0"
        )
    if name in _OWN_VARIABLES:
        raise BenchError(
            f"{name} is set by bench: {_OWN_VARIABLES[name]}", hint="leave this variable out"
        )
    return name, value


def _interpreter(python: str) -> str:
    """The absolute path; a virtual environment's interpreter is a link that must not be followed."""
    path = Path(python).expanduser().absolute()
    inside = path / "bin" / "python"
    return str(inside if path.is_dir() and inside.exists() else path)


def tensorflow_minors(side: Side) -> frozenset[int]:
    """TensorFlow 2.x that the requirements of a side allow, beyond the table too."""
    if side.tensorflow.startswith("tf-nightly"):
        return frozenset({max(TENSORFLOW) + 1})
    specifier = side.requirement(side.tensorflow) or SpecifierSet()
    candidates = [Version(f"2.{minor}.{patch}") for minor in _MINORS for patch in _PATCHES]
    candidates += _named(specifier)  # pre-releases and post-releases
    fits = specifier.filter(candidates, prereleases=True)
    return frozenset(version.minor for version in fits if version.major == 2)


def _named(specifier: SpecifierSet) -> list[Version]:
    """Versions that a specifier spells out."""
    texts = [one.version for one in specifier]
    return [Version(text) for text in texts if not text.endswith(".*")]


def numpy_bound(side: Side) -> str:
    """Versions of NumPy that the side's TensorFlow is compiled for, if all that fit agree."""
    bounds = {TENSORFLOW.get(minor, _UNKNOWN).numpy for minor in tensorflow_minors(side)}
    return bounds.pop() if len(bounds) == 1 else ""


def pythons(side: Side) -> frozenset[int]:
    """Python 3.x for which a side's TensorFlow and NumPy have wheels, as far as is known."""
    return frozenset(
        python
        for minor in tensorflow_minors(side)
        if minor >= FIRST_TENSORFLOW
        for python in _numpy_pythons(side, TENSORFLOW.get(minor, _UNKNOWN))
    )


def refusal(side: Side) -> str:
    """Why a side's requirements cannot be had on any Python; empty if nothing speaks against them."""
    if side.python:
        return ""
    minors = {minor for minor in tensorflow_minors(side) if minor >= FIRST_TENSORFLOW}
    if not minors:
        return f"{side.label}: bench is made for TensorFlow 2.{FIRST_TENSORFLOW} and later"
    if pythons(side):
        return ""
    wanted = f"numpy{side.requirement('numpy')}"
    releases = {minor: TENSORFLOW.get(minor, _UNKNOWN) for minor in sorted(minors)}
    bound = ", ".join(
        f"TensorFlow 2.{minor} needs NumPy {release.numpy or 'of any version'} and Python "
        f"{span(range(release.pythons[0], release.pythons[1] + 1))}"
        for minor, release in releases.items()
    )
    return f"{side.label}: {wanted} does not go with it: {bound}"


def _numpy_pythons(side: Side, release: Release) -> frozenset[int]:
    """Python 3.x of a TensorFlow release on which a NumPy exists that it and the side allow."""
    first, last = release.pythons
    every = frozenset(range(first, last + 1))
    wanted = side.requirement("numpy") or SpecifierSet()
    candidates = {
        Version(f"{major}.{minor}.{patch}"): (major, minor)
        for major, minor in NUMPY
        for patch in _PATCHES
    }
    known = list(wanted.filter(candidates, prereleases=True))
    if not known:  # a NumPy that the table does not know, or none at all: the installer will say
        return every
    fits = {candidates[version] for version in SpecifierSet(release.numpy).filter(known)}
    return frozenset(
        python for python in every if any(NUMPY[one][0] <= python <= NUMPY[one][1] for one in fits)
    )


def span(minors: Iterable[int]) -> str:
    """Pythons for messages: ``3.10 to 3.12``."""
    ordered = sorted(minors)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"3.{ordered[0]} to 3.{ordered[-1]}"
    return " or ".join(f"3.{minor}" for minor in ordered)


def lock_versions(lock: str) -> Mapping[str, str]:
    """Version by name of a lock's lines.

    >>> dict(lock_versions("keras==3.12.0"))
    {'keras': '3.12.0'}
    """
    pairs = (line.partition("==") for line in lock.splitlines())
    return {name: version for name, _, version in pairs}


def lock_of(versions: Mapping[str, str]) -> str:
    """A lock: one line ``name==version`` for each distribution, sorted, names normalized."""
    lines = sorted(f"{canonicalize_name(name)}=={version}" for name, version in versions.items())
    return "".join(f"{line}\n" for line in lines)
