"""Tests of files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.results.files import write_atomically


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    """A pipe, as a device would: root would replace /dev/null for everybody. A folder stays, too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BenchError, match="pipe: is no file, and a file would take its place"):
        write_atomically(pipe, b"content")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
    with pytest.raises(BenchError):
        write_atomically(tmp_path, b"content")


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path: Path) -> None:
    """Whoever put it there writes nowhere else."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    write_atomically(link, b"content")
    assert not link.is_symlink()
    assert (link.read_bytes(), target.read_bytes()) == (b"content", b"before")
