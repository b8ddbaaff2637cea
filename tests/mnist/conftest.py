"""Fixtures of tests of :mod:`bench.mnist`."""

from __future__ import annotations

import dataclasses
import http.server
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.mnist import arrays as _arrays
from bench.mnist import data as _data
from bench.mnist.arrays import Arrays
from support.small_mnist import (
    NOTHING_LISTENS,
    TEST,
    TRAIN,
    World,
    keras_bytes,
    parts,
    python2_pickle,
    sha256,
    stand_in,
    wheel_bytes,
    with_wheel,
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    arrays = stand_in()
    keras, wheel = keras_bytes(arrays), wheel_bytes(python2_pickle(parts(arrays)))
    published = with_wheel(
        dataclasses.replace(
            _arrays.MNIST,
            train_count=TRAIN,
            test_count=TEST,
            digests=arrays.digests(),
            keras_url=NOTHING_LISTENS,
            keras_sha256=sha256(keras),
        ),
        wheel,
    )
    monkeypatch.setattr(_data, "_PUBLISHED", published)
    for variable in list(os.environ):
        if variable.startswith(("BENCH_", "PIP_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return World(arrays, published, keras, wheel, tmp_path, tmp_path / "cache")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if a network source is so much as tried."""

    def tried(*_: Any) -> Arrays:
        raise AssertionError("a network source was tried")

    monkeypatch.setattr(_data, "_FETCHERS", {"keras": tried, "wheel": tried})


@pytest.fixture
def served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bytes], dict[str, Any]]]:
    """Serve these bytes at the published address, with the behaviour set in the returned dict."""
    behaviour: dict[str, Any] = {"status": 200, "cut": 0, "pause_sec": 0.0, "requests": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour["requests"] += 1
            content = behaviour["content"]
            self.send_response(behaviour["status"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for start in range(0, len(content) - behaviour["cut"], 4096):
                time.sleep(behaviour["pause_sec"])
                try:
                    self.wfile.write(content[start : start + 4096])
                except OSError:
                    return

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def serve(content: bytes) -> dict[str, Any]:
        behaviour["content"] = content
        url = f"http://127.0.0.1:{server.server_port}/mnist.npz"
        monkeypatch.setattr(
            _data, "_PUBLISHED", dataclasses.replace(world.published, keras_url=url)
        )
        return behaviour

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()
