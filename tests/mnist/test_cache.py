"""The cache: what it serves, and how it takes damage."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from bench import mnist
from bench.errors import BenchError
from bench.mnist import cache as _cache
from support.small_mnist import CACHED, World, assert_same, flip, npz_bytes, put_keras


def test_arrays_are_read_only_memory_maps(world: World) -> None:
    world.fill_cache()
    data = mnist.open_cached(world.published.fingerprint, cache_dir=world.cache)
    served = [data.train_images, data.train_labels, data.test_images, data.test_labels]
    assert all(isinstance(array, np.memmap) for array in served)
    assert not any(array.flags.writeable or array.flags.owndata for array in served)
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0, 0, 0] = 1


@pytest.mark.usefixtures("no_network")
def test_cache_serves_without_any_other_source(world: World) -> None:
    world.fill_cache()
    data = mnist.load(cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert data.source == "cache"


def remake(path: Path, change: Callable[[Any], Any]) -> None:
    """The same array, changed."""
    np.save(path, change(np.load(path)))


CACHE_FAULTS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "one_bit": ("train-images", lambda p: flip(p, 200), "train images have sha256"),
    "last_bit": ("test-labels", lambda p: flip(p, -1), "test labels have sha256"),
    "truncated": ("test-images", lambda p: os.truncate(p, 1000), "test-images.npy: mmap length"),
    "empty": ("train-labels", lambda p: os.truncate(p, 0), "train-labels.npy: No data left"),
    "no_array": ("train-labels", lambda p: p.write_bytes(b"x" * 99), "train-labels.npy: "),
    "header": ("train-labels", lambda p: flip(p, 20), "train-labels.npy: "),
    "archive": ("test-labels", lambda p: p.write_bytes(npz_bytes(a=np.ones(1))), "not row-major"),
    "dtype": ("test-labels", lambda p: remake(p, np.int8), "not row-major uint8 of shape (20,)"),
    "shape": ("test-images", lambda p: remake(p, lambda a: a[1:]), "of shape (20, 28, 28)"),
    "order": ("test-images", lambda p: remake(p, np.asfortranarray), "not row-major uint8"),
    "missing": ("train-labels", lambda p: p.unlink(), "train-labels.npy: not there"),
}


def damage_cache(world: World, name: str) -> str:
    """Fills the cache and damages an array; what is then said of it."""
    world.fill_cache()
    array, damage, message = CACHE_FAULTS[name]
    damage(world.folder / f"{array}.npy")
    return message


@pytest.mark.parametrize("name", CACHE_FAULTS)
def test_damaged_cache_is_fetched_anew(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    message = damage_cache(world, name)
    put_keras(world)
    with caplog.at_level(logging.WARNING, logger="bench"):
        data = mnist.load(cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert data.source == "keras"
    assert message in caplog.text or name == "missing"
    assert set(world.contents()) == CACHED
    assert mnist.load(cache_dir=world.cache).source == "cache"


@pytest.mark.parametrize("name", CACHE_FAULTS)
def test_damaged_cache_without_another_source_says_so(world: World, name: str) -> None:
    """It is not served, and what is there is not changed."""
    message = damage_cache(world, name)
    before = world.contents()
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        mnist.load(sources=("cache",), cache_dir=world.cache)
    assert "\n  cache: " in str(caught.value)
    assert str(world.folder) in str(caught.value)
    assert world.contents() == before


def test_a_cache_of_an_older_bench_is_passed_over(world: World) -> None:
    """It kept all arrays in one file, which stays for whoever still runs that bench."""
    world.folder.mkdir(parents=True)
    (world.folder / "arrays.u8").write_bytes(b"".join(array.tobytes() for array in world.arrays))
    with pytest.raises(BenchError, match="nothing is cached"):
        mnist.verify(world.cache)
    put_keras(world)
    assert mnist.load(cache_dir=world.cache).source == "keras"
    assert set(world.contents()) == {*CACHED, "arrays.u8"}
    assert mnist.load(cache_dir=world.cache).source == "cache"


def test_unreadable_cache_is_not_taken_for_a_damaged_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be sound is left where it is."""
    world.fill_cache()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", refuse)
        with pytest.raises(BenchError, match=r"images\.npy: cannot be read: Permission denied"):
            mnist.load(sources=("cache",), cache_dir=world.cache)
        assert [r.ok for r in mnist.verify(world.cache)] == [False] * 4
    assert mnist.load(sources=("cache",), cache_dir=world.cache).source == "cache"


def test_damaged_file_in_a_cache_that_cannot_be_written_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = damage_cache(world, "one_bit")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    put_keras(world)
    with pytest.raises(BenchError, match="cannot be written: Read-only file system") as caught:
        mnist.load(sources=("cache", "keras"), cache_dir=world.cache)
    assert message in str(caught.value)


def test_damaged_cache_of_a_directory_is_written_anew(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    damage_cache(world, "one_bit")
    data = mnist.load(directory=world.directory(), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert "damaged cache, written anew" in caplog.text


def test_mapped_data_survive_replacement_of_the_file(world: World) -> None:
    """A worker keeps its bytes while another process repairs or replaces the cache."""
    world.fill_cache()
    data = mnist.open_cached(world.published.fingerprint, cache_dir=world.cache)
    before = [path.stat().st_ino for path in sorted(world.folder.glob("*.npy"))]
    put_keras(world)
    assert mnist.load(sources=("keras",), cache_dir=world.cache).source == "keras"
    assert before != [path.stat().st_ino for path in sorted(world.folder.glob("*.npy"))]
    assert_same(data, world.arrays)


@pytest.mark.parametrize("name", ["truncated", "empty", "shape", "missing"])
def test_open_cached_refuses_what_is_not_whole(world: World, name: str) -> None:
    message = damage_cache(world, name)
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        mnist.open_cached(world.published.fingerprint, cache_dir=world.cache)
    assert "bench data fetch" in caught.value.hint


@pytest.mark.parametrize("text", ["", "../../etc", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_open_cached_refuses_what_is_no_fingerprint(world: World, text: str) -> None:
    with pytest.raises(BenchError, match="is not a fingerprint"):
        mnist.open_cached(text, cache_dir=world.cache)


def test_cache_that_cannot_be_created_names_the_way_out(world: World) -> None:
    (world.tmp / "file").write_text("in the way")
    with pytest.raises(BenchError, match="cannot be written: Not a directory") as caught:
        mnist.load(directory=world.directory(), cache_dir=world.tmp / "file" / "cache")
    assert "BENCH_CACHE_DIR" in caught.value.hint
    assert str(world.tmp / "file" / "cache") in caught.value.message


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("source", ["directory", "keras"])
def test_failing_disk_names_the_way_out_and_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, code: int, source: str
) -> None:
    put_keras(world)

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    directory = world.directory() if source == "directory" else None
    with pytest.raises(BenchError, match=re.escape(os.strerror(code))) as caught:
        mnist.load(directory=directory, sources=(source, "wheel"), cache_dir=world.cache)
    assert "BENCH_CACHE_DIR" in caught.value.hint
    assert "wheel" not in caught.value.message  # no other source would help
    assert [path.name for path in world.folder.iterdir()] == ["lock"]


def test_write_that_does_not_read_back_is_never_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stores something else than what was written."""
    fsync = os.fsync

    def spoil(descriptor: int) -> None:
        fsync(descriptor)
        os.pwrite(descriptor, b"spoilt", 128)

    monkeypatch.setattr(os, "fsync", spoil)
    with pytest.raises(BenchError, match="train images have sha256"):
        mnist.load(directory=world.directory(), cache_dir=world.cache)
    assert not [*world.folder.glob("*.npy")]


def test_lock_held_too_long_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "LOCK_TIMEOUT_SEC", 0.1)
    world.folder.mkdir(parents=True)
    with (
        filelock.FileLock(world.folder / "lock"),
        pytest.raises(BenchError, match="another process has been populating it") as caught,
    ):
        mnist.load(directory=world.directory(), cache_dir=world.cache)
    assert "BENCH_CACHE_DIR" in caught.value.hint


def test_scratch_of_a_killed_process_is_removed(world: World) -> None:
    left = world.folder / "tmp-killed"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    world.fill_cache()
    assert set(world.contents()) == CACHED
