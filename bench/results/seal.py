"""Seal: what tells files that this user wrote on this machine from those that came from elsewhere.

A folder of results says with which interpreters and under which variables its sides were trained. To
start these is to trust whoever wrote the file. So such a file carries an HMAC-SHA256 (RFC 2104) under a
key that never leaves the user's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

_KEY = "seal.key"
_KEY_BYTES = 32


def seal(content: bytes) -> str:
    """The seal of this user on this machine; empty where the cache cannot be written."""
    folder = _folder()
    try:
        key = _key(folder) or _new_key(folder)
    except OSError:
        return ""
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def is_sealed(content: bytes, by: str) -> bool:
    """Whether ``by`` is the seal of this user on this machine."""
    try:
        key = _key(_folder())
    except OSError:
        return False
    return bool(key) and hmac.compare_digest(
        hmac.new(key, content, hashlib.sha256).hexdigest().encode(), by.encode()
    )


def _folder() -> Path:
    """The user's cache."""
    from bench.mnist import cache_directory  # with all that can download, which readers do not need

    return cache_directory()


def _key(folder: Path) -> bytes:
    """The key; empty if there is none yet."""
    try:
        key = (folder / _KEY).read_bytes()
    except FileNotFoundError:
        return b""
    return key if len(key) == _KEY_BYTES else b""


def _new_key(folder: Path) -> bytes:
    """Makes the key, which appears whole: of two processes at once, one makes it for both."""
    folder.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{_KEY}.", dir=folder)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(name, folder / _KEY)
    finally:
        Path(name).unlink()
    return _key(folder)
