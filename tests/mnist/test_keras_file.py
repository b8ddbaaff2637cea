"""Keras' public file, found or downloaded."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import pytest

from bench import mnist
from bench.errors import BenchError
from bench.mnist import data as _data
from bench.mnist import files as _files
from bench.mnist import sources as _sources
from bench.mnist.arrays import ARRAY_NAMES, Arrays, Published
from support.small_mnist import (
    World,
    assert_same,
    changed,
    keras_bytes,
    put_keras,
    sha256,
    stand_in,
)

Serve = Callable[[bytes], dict[str, Any]]


def test_keras_own_download_is_used_without_network(world: World) -> None:
    put_keras(world)
    data = mnist.load(sources=("keras",), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert (data.source, data.name) == ("keras", "mnist")


def test_keras_file_is_downloaded(world: World, served: Serve) -> None:
    behaviour = served(world.keras)
    data = mnist.load(sources=("cache", "keras"), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert (data.source, behaviour["requests"]) == ("keras", 1)
    assert mnist.load(sources=("cache", "keras"), cache_dir=world.cache).source == "cache"
    assert behaviour["requests"] == 1


def test_tampered_local_keras_file_is_not_opened_but_downloaded(
    world: World, served: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = put_keras(world, keras_bytes(stand_in(seed=2)))
    opened: list[Path] = []
    read_npz = _files.read_npz

    def spy(path: Path, published: Published) -> Arrays:
        opened.append(path)
        return read_npz(path, published)

    monkeypatch.setattr(_sources, "read_npz", spy)
    served(world.keras)
    assert_same(mnist.load(sources=("keras",), cache_dir=world.cache), world.arrays)
    assert len(opened) == 1
    assert local not in opened


@pytest.mark.parametrize(
    ("content", "behaviour", "message"),
    [
        pytest.param("other", {}, "ValueError: SHA256 hash of downloaded file", id="tampered"),
        pytest.param("genuine", {"cut": 9000}, "IncompleteRead|SHA256 hash", id="truncated"),
        pytest.param("genuine", {"status": 404}, "HTTPError: 404 Client Error", id="missing"),
        pytest.param("genuine", {"status": 503}, "HTTPError: 503 Server Error", id="unavailable"),
        pytest.param("genuine", {"pause_sec": 0.1}, "TimeoutError: not finished", id="trickling"),
    ],
)
def test_faults_of_the_keras_download(
    world: World,
    served: Serve,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    behaviour: dict[str, Any],
    message: str,
) -> None:
    """The reason is given; nothing is opened or cached; what Keras had locally is mentioned."""
    local = put_keras(world, b"not an npz")
    monkeypatch.setattr(_sources, "TOTAL_TIMEOUT_SEC", 0.2)
    monkeypatch.setattr(_sources, "read_npz", lambda *_: pytest.fail("opened an unverified file"))
    served(keras_bytes(stand_in(seed=2)) if content == "other" else world.keras).update(behaviour)
    with pytest.raises(BenchError, match=message) as caught:
        mnist.load(sources=("keras",), cache_dir=world.cache)
    assert f"{local}: not opened: sha256 is" in str(caught.value)
    assert not [*world.folder.glob("*.npy")]


def test_full_disk_during_the_download_names_the_way_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", full)
    with pytest.raises(BenchError, match="No space left on device") as caught:
        mnist.load(sources=("keras", "wheel"), cache_dir=world.cache)
    assert str(world.folder) in caught.value.message
    assert "BENCH_CACHE_DIR" in caught.value.hint


@pytest.mark.parametrize("index", range(4), ids=lambda i: ARRAY_NAMES[i].replace(" ", "_"))
def test_decoded_arrays_are_hashed_again(
    world: World, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    """The file's hash is right and its content is not: found after decoding, and not cached."""
    content = keras_bytes(changed(world.arrays, index))
    put_keras(world, content)
    published = dataclasses.replace(world.published, keras_sha256=sha256(content))
    monkeypatch.setattr(_data, "_PUBLISHED", published)
    with pytest.raises(BenchError, match=f"keras: decoded, but {ARRAY_NAMES[index]} have sha256"):
        mnist.load(sources=("keras",), cache_dir=world.cache)
    assert not [*world.folder.glob("*.npy")]
