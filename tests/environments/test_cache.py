"""Tests of what the cache keeps: used folders stay, others go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.environments import cache
from bench.environments.cache import KEPT, UNUSED_DAYS, remove_unused, use

DAY_SEC = 86400


@pytest.fixture(params=KEPT)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of environments, and that of copies."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


def make(kept: Path, name: str, *, days: float) -> Path:
    """Something that was used so many days ago."""
    folder = kept / name
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("content")
    then = time.time() - days * DAY_SEC
    os.utime(folder, (then, then))
    return folder


def names(kept: Path) -> list[str]:
    return sorted(one.name for one in kept.iterdir())


def test_what_was_not_used_for_long_goes(kept: Path) -> None:
    """A minute decides; scratch of killed processes goes, too; other files of the cache stay."""
    minute = 1 / 24 / 60
    make(kept, "old", days=UNUSED_DAYS + minute)
    make(kept, "building-0-1", days=UNUSED_DAYS + minute)
    make(kept, "young", days=UNUSED_DAYS - minute)
    requests = make(kept.parent, "requests", days=UNUSED_DAYS + minute)
    remove_unused(kept.parent)
    assert names(kept) == ["young"]
    assert (requests / "deep" / "file").exists()


def test_a_use_counts_from_now(kept: Path) -> None:
    """What is used is kept, whole; what is not there cannot be used."""
    folder = make(kept, "old", days=10 * UNUSED_DAYS)
    assert use(folder)
    remove_unused(kept.parent)
    assert (folder / "deep" / "file").read_text() == "content"
    assert not use(kept / "nowhere")
    assert names(kept) == ["old"]


def test_a_use_at_the_last_moment_saves_it(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking for unused folders and removing them, somebody may come."""
    folder = make(kept, "old", days=UNUSED_DAYS + 1)
    alone = cache._alone

    def somebody_was_first(kept: Path) -> object:
        monkeypatch.setattr(cache, "_alone", alone)
        assert use(folder)
        return alone(kept)

    monkeypatch.setattr(cache, "_alone", somebody_was_first)
    remove_unused(kept.parent)
    assert names(kept) == ["old"]


@pytest.fixture
def locked(kept: Path) -> Iterator[Path]:
    """A folder in which nothing can be removed, but by root."""
    folder = make(kept, "locked", days=UNUSED_DAYS + 1)
    (folder / "deep").chmod(0o500)
    yield folder
    for one in kept.glob("*/deep"):
        one.chmod(0o700)


def test_what_cannot_be_removed_troubles_nobody(locked: Path) -> None:
    """It can be used no more, and the others go."""
    kept = locked.parent
    make(kept, "other", days=UNUSED_DAYS + 1)
    remove_unused(kept.parent)
    assert not use(locked)
    assert not {"locked", "other"} & set(names(kept))


def test_a_cache_without_environments_has_nothing_to_remove(tmp_path: Path) -> None:
    """Nothing is made, nothing is said."""
    remove_unused(tmp_path)
    assert list(tmp_path.iterdir()) == []
