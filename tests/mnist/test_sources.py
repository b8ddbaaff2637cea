"""Which sources are tried, in which order."""

from __future__ import annotations

import re

import pytest

from bench import mnist
from bench.errors import BenchError
from support.small_mnist import World


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("directory,cache,keras,wheel", mnist.SOURCES),
        (" wheel , cache ", ("wheel", "cache")),
        ("keras,", ("keras",)),
    ],
)
def test_sources_are_parsed_in_order(text: str, expected: tuple[str, ...]) -> None:
    assert mnist.resolve_sources(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cache,internet", "unknown MNIST source 'internet' in 'cache,internet'"),
        ("", "no MNIST source is named"),
        (" , ", "no MNIST source is named"),
        ("cache,wheel,cache", "an MNIST source is named twice"),
    ],
)
def test_wrong_sources_are_refused(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        mnist.resolve_sources(text)
    assert "choose from directory, cache, keras, wheel" in caught.value.hint


def test_sources_from_the_environment_yield_to_the_argument(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MNIST_SOURCES", "keras")
    with pytest.raises(BenchError) as caught:
        mnist.load(cache_dir=world.cache)
    assert re.findall(r"^  (\w+):", str(caught.value), re.MULTILINE) == ["keras"]
    with pytest.raises(BenchError) as caught:
        mnist.load(sources=("cache",), cache_dir=world.cache)
    assert re.findall(r"^  (\w+):", str(caught.value), re.MULTILINE) == ["cache"]
    monkeypatch.setenv("BENCH_MNIST_SOURCES", "kerras")
    with pytest.raises(BenchError, match="unknown MNIST source 'kerras'"):
        mnist.load(cache_dir=world.cache)
