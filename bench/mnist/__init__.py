"""MNIST: getting it, verifying it, and serving it to many processes as memory maps.

The images stay uint8; scaling belongs to the graph that trains on them. Nothing here imports
TensorFlow, and importing this package reads no file and opens no connection.

Sources are tried in the order of :data:`SOURCES`. Whatever they yield is checked against the
published digests, written to the cache by renames, and served from there::

    data = mnist.load()                             # verified by hash
    again = mnist.open_cached(data.fingerprint)     # in a worker process: the same memory

References:
    LeCun, Cortes, Burges: The MNIST database of handwritten digits.
    Xiao, Rasul, Vollgraf 2017: Fashion-MNIST (same shape, other images).
"""

from __future__ import annotations

from bench.mnist.data import (
    CACHE_DIR_VARIABLE,
    DIRECTORY_VARIABLE,
    MNIST_FINGERPRINT,
    SOURCES,
    SOURCES_VARIABLE,
    ArrayCheck,
    Mnist,
    cache_directory,
    describe,
    load,
    open_cached,
    resolve_sources,
    verify,
)

__all__ = [
    "CACHE_DIR_VARIABLE",
    "DIRECTORY_VARIABLE",
    "MNIST_FINGERPRINT",
    "SOURCES",
    "SOURCES_VARIABLE",
    "ArrayCheck",
    "Mnist",
    "cache_directory",
    "describe",
    "load",
    "open_cached",
    "resolve_sources",
    "verify",
]
