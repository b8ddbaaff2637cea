"""The commands ``bench data fetch|verify|where``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bench.commands.options import DataDir
from bench.errors import EXIT_OK, BenchError


def fetch(
    *,
    source: Annotated[tuple[str, ...], Parameter(consume_multiple=1)] = (),
    data_dir: DataDir = None,
) -> int:
    """Gets and verifies the images.

    Args:
        source: try only these sources, in this order
    """
    from bench import mnist

    sources = mnist.resolve_sources(",".join(source)) if source else mnist.SOURCES
    images = mnist.load(directory=data_dir, sources=sources)
    print(f"{images.name}  {images.fingerprint}\nsource  {images.source}")
    print(f"cache   {mnist.cache_directory()}")
    return EXIT_OK


def verify(directory: Path | None = None, /) -> int:
    """Hashes what is cached, or reads a directory of yours; trains nothing and caches nothing.

    Args:
        directory: holds IDX, gzipped IDX or npz files, or is an npz file
    """
    from bench import mnist

    if directory is not None:
        with tempfile.TemporaryDirectory() as scratch:
            images = mnist.load(directory=directory, cache_dir=Path(scratch))
            genuine = images.fingerprint == mnist.MNIST_FINGERPRINT
        print(f"ok   {images.name}  {images.fingerprint}")
        if not genuine:
            print("not MNIST: these images can be trained on, and are compared with no baseline")
        return EXIT_OK
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


def where(*, data_dir: DataDir = None) -> int:
    """Says where images are looked for."""
    from bench import mnist

    print(mnist.describe(directory=data_dir))
    return EXIT_OK
