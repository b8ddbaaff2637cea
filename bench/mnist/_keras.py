"""Keras' public `mnist.npz`: a copy that Keras has already downloaded, or a fresh download."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pooch

from bench.errors import BenchError
from bench.mnist._arrays import Arrays, sha256_of_file
from bench.mnist._cache import reject_unwritable
from bench.mnist._files import read_npz
from bench.mnist._published import Published

CONNECT_TIMEOUT_SEC = 10.0  #: to reach the server
READ_TIMEOUT_SEC = 20.0  #: between two packets
TOTAL_TIMEOUT_SEC = 180.0  #: for the 11 MB as a whole
_CHUNK_BYTES = 4096


class _Deadline:
    """A pooch 'progress bar' whose only work is to stop a download that trickles for ever."""

    total = 0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def update(self, _size: int) -> None:
        if time.monotonic() > self._end:
            raise TimeoutError(f"not finished after {self._seconds:.0f} s")

    def reset(self) -> None:
        """Part of the interface that pooch asks of a progress bar."""

    def close(self) -> None:
        """Part of the interface that pooch asks of a progress bar."""


def local_copy() -> Path:
    """Where Keras keeps its download: below KERAS_HOME, or ~/.keras."""
    home = os.environ.get("KERAS_HOME")
    base = Path(home) if home else Path("~/.keras")
    return base.expanduser() / "datasets" / "mnist.npz"


def _read_local(published: Published) -> Arrays:
    path = local_copy()
    try:
        digest = sha256_of_file(path)
    except FileNotFoundError:
        raise BenchError(f"{path}: not there") from None
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error
    if digest != published.keras_sha256:
        raise BenchError(
            f"{path}: not opened: sha256 is {digest}, expected {published.keras_sha256}"
        )
    return read_npz(path, published)


def _download(published: Published, scratch: Path) -> Arrays:
    downloader = pooch.HTTPDownloader(
        timeout=(CONNECT_TIMEOUT_SEC, READ_TIMEOUT_SEC),
        progressbar=_Deadline(TOTAL_TIMEOUT_SEC),
        chunk_size=_CHUNK_BYTES,
    )
    try:
        # pooch compares the hash before it moves the file into place; nothing has opened it yet.
        path = pooch.retrieve(
            published.keras_url,
            known_hash=f"sha256:{published.keras_sha256}",
            fname="mnist.npz",
            path=scratch,
            downloader=downloader,
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError: wrong hash
        reject_unwritable(error, scratch)
        raise BenchError(f"{published.keras_url}: {type(error).__name__}: {error}") from error
    return read_npz(Path(path), published)


def fetch(published: Published, scratch: Path) -> Arrays:
    """Get Keras' file, from its own cache or from the network, and decode it.

    Args:
        published: its address, hash and shapes.
        scratch: an empty directory for the download.

    Raises:
        BenchError: neither is usable; the message says why for both.
    """
    try:
        return _read_local(published)
    except BenchError as error:
        first = error.message
    try:
        return _download(published, scratch)
    except BenchError as error:
        error.message = f"{first}; {error.message}"
        raise
