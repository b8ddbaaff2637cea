"""Releases of a package between two versions, as the index lists them that uv is configured for.

A release is of use if it has a wheel for the Python in question and was not yanked: nothing is built
from source (:mod:`bench.environments.installer`). What is left out is named, with the reason.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

from bench.environments.installer import Sources, sources
from bench.errors import BenchError


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Releases from one version to another, both included, in the direction that was asked for."""

    package: str
    releases: list[str]
    skipped: dict[str, str] = {}
    """Releases in between that are left out, with the reason."""


class _File(msgspec.Struct, frozen=True):
    version: str
    yanked: str | None
    """Reason, which may be empty; None if it was not."""


def chain(package: str, old: str, new: str, *, python: str) -> Chain:
    """The releases of a package from ``old`` to ``new``.

    Both ends are in the chain, whatever the index says of them; pre-releases are not, unless they are
    an end.

    Args:
        package: name of the distribution.
        old: the version that the chain starts from; the higher one in a rollback.
        new: the version that it leads to.
        python: version of the interpreter, such as ``3.11.7``.

    Raises:
        BenchError: the same version twice; the index does not know the package.
    """
    first, last = Version(old), Version(new)
    if first == last:
        raise BenchError(
            f"{package} is {old} on both sides: there is nothing to bisect",
            hint="name a package that differs, or leave --over out",
        )
    wheels = _files(package, python, wheels_only=True)
    every = _files(package, python, wheels_only=False)
    if not every:
        raise BenchError(
            f"the package index lists no release of {package}",
            hint="see whether it answers, and which one pip and uv are configured for",
        )
    low, high = sorted((first, last))
    inside = {
        version
        for version in map(Version, {file.version for file in every})
        if low < version < high and not version.is_prerelease
    }
    skipped = {str(one): _reason(one, wheels, python) for one in sorted(inside)}
    kept = [low, *(one for one in sorted(inside) if not skipped[str(one)]), high]
    texts = {first: old, last: new}
    releases = [texts.get(one, str(one)) for one in kept]
    return Chain(
        package=canonicalize_name(package),
        releases=releases if first < last else releases[::-1],
        skipped={version: reason for version, reason in skipped.items() if reason},
    )


def _reason(version: Version, wheels: Iterable[_File], python: str) -> str:
    """Why a release is of no use; empty if it is."""
    files = [file for file in wheels if Version(file.version) == version]
    if not files:
        return f"no wheel for Python {python} on this machine"
    if any(file.yanked is None for file in files):
        return ""
    return f"yanked: {files[0].yanked}" if files[0].yanked else "yanked"


def _files(package: str, python: str, *, wheels_only: bool) -> list[_File]:
    """Files of a package: wheels for an interpreter of this machine, or all."""
    from unearth import TargetPython

    major, minor, *_ = (int(part) for part in python.split("."))
    finder = _finder(
        sources(),
        target_python=TargetPython(py_ver=(major, minor)),
        only_binary=[package] if wheels_only else [],
        ignore_compatibility=not wheels_only,
    )
    return [
        _File(found.version, found.link.yank_reason)
        for found in finder.find_all_packages(package, allow_yanked=True)
        if found.version
    ]


def _finder(known: Sources, **options: Any) -> Any:
    """unearth's finder for the sources that uv has; it has the public index where none is named."""
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    session = PyPIClient(
        trusted_hosts=known.trusted,
        verify=ssl.create_default_context(cafile=known.certificates or None),
        cert=known.client_certificate or None,
        proxy=known.proxy or None,
        follow_redirects=True,
    )
    session.auth = MultiDomainBasicAuth(index_urls=[known.default, *known.indexes])
    named = {"find_links": known.find_links} if known.alone else {}
    if known.default and not known.alone:
        named["index_urls"] = (known.default,)
    finder = PackageFinder(session, **named, trusted_hosts=known.trusted, **options)
    if not known.alone:
        for url in known.indexes:
            finder.add_index_url(url)
        for place in known.find_links:
            finder.add_find_links(place)
    return finder
