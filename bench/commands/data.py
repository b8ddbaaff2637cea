"""What ``bench data fetch|verify|where`` do. Imports no TensorFlow."""

from __future__ import annotations

import argparse

from bench.errors import EXIT_OK, BenchError


def data_fetch(arguments: argparse.Namespace) -> int:
    """Gets and verifies the images."""
    from bench import mnist

    named = ",".join(arguments.source)
    sources = mnist.resolve_sources(named) if named else mnist.SOURCES
    found = mnist.load(directory=arguments.data_dir, sources=sources)
    print(f"{found.name}  {found.fingerprint}\nsource  {found.source}")
    print(f"cache   {mnist.cache_directory()}")
    return EXIT_OK


def data_verify(_: argparse.Namespace) -> int:
    """Hashes what is cached."""
    from bench import mnist

    checks = mnist.verify()
    for check in checks:
        outcome = "ok " if check.ok else "BAD"
        note = f"  {check.note}" if check.note else ""
        print(f"{outcome}  {check.dataset}  {check.array:<12}  {check.actual[:16] or '-'}{note}")
        if not check.ok and check.expected:
            print(f"     expected {check.expected}\n     found    {check.actual or 'nothing'}")
    bad = sum(not check.ok for check in checks)
    if bad:
        raise BenchError(f"{bad} of {len(checks)} arrays are damaged", hint="bench data fetch")
    return EXIT_OK


def data_where(arguments: argparse.Namespace) -> int:
    """Says where images are looked for."""
    from bench import mnist

    print(mnist.describe(directory=arguments.data_dir))
    return EXIT_OK
