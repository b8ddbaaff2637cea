"""Tests of the releases between two versions, from an index that is a folder of pages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.environments import installer
from bench.environments.releases import chain
from bench.errors import BenchError

#: Files of a package, with what the index says of each.
FILES = {
    "keras-3.0.0-py3-none-any.whl": "",
    "keras-3.1.0-py3-none-any.whl": 'data-yanked="broken loader"',
    "keras-3.2.0-py3-none-any.whl": 'data-requires-python="&gt;=3.99"',
    "keras-3.3.0.tar.gz": "",
    "keras-3.4.0rc1-py3-none-any.whl": "",
    "keras-3.4.0-py3-none-any.whl": "",
    "keras-3.4.0.tar.gz": "",
    "keras-3.10.0-py3-none-any.whl": "",
    "keras-3.11.0-cp27-cp27m-win32.whl": "",
    "keras-3.12.0-py3-none-any.whl": "",
}


def make_pages(folder: Path, files: Mapping[str, str] = FILES, package: str = "keras") -> str:
    """An index of one package; its address."""
    place = folder / "simple" / package
    place.mkdir(parents=True)
    links = "".join(f'<a href="{name}" {more}>{name}</a>\n' for name, more in files.items())
    (place / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>")
    return place.parent.as_uri()


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of which uv's settings tell, and no other."""
    installer.pip_settings.cache_clear()
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def test_what_is_of_no_use_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", make_pages(tmp_path))
    found = chain("keras", "3.0.0", "3.12.0", python="3.11.7")
    assert found.releases == ["3.0.0", "3.4.0", "3.10.0", "3.12.0"]
    no_wheel = "no wheel for Python 3.11.7 on this machine"
    assert found.skipped == {
        "3.1.0": "yanked: broken loader",
        "3.2.0": no_wheel,
        "3.3.0": no_wheel,
        "3.11.0": no_wheel,
    }


def test_an_end_is_in_whatever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pre-release, a yanked one, one that the index does not have; and downwards."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", make_pages(tmp_path))
    found = chain("keras", "3.4.0rc1", "3.1.0", python="3.11.7")
    assert found.releases == ["3.4.0rc1", "3.1.0"]
    assert set(found.skipped) == {"3.2.0", "3.3.0"}
    found = chain("keras", "3.10.0", "3.12.5+mine", python="3.11.7")
    assert found.releases == ["3.10.0", "3.12.0", "3.12.5+mine"]


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "UV_INDEX_URL", "PIP_EXTRA_INDEX_URL"])
@pytest.mark.slow
def test_the_configured_index_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", make_pages(tmp_path / "none", {}, "other"))
    monkeypatch.setenv(name, make_pages(tmp_path))
    installer.pip_settings.cache_clear()
    assert chain("keras", "3.0.0", "3.4.0", python="3.11.7").releases == ["3.0.0", "3.4.0"]


def test_a_folder_of_wheels_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    found = chain("keras", "3.0.0", "3.12.0", python="3.11.7")
    assert found.releases == ["3.0.0", "3.1.0", "3.2.0", "3.4.0", "3.10.0", "3.12.0"]
    assert set(found.skipped) == {"3.3.0", "3.11.0"}


def test_wrong_questions_get_a_clear_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", make_pages(tmp_path))
    with pytest.raises(BenchError, match=r"keras is 3.4.0 on both sides"):
        chain("keras", "3.4.0", "3.4", python="3.11.7")
    with pytest.raises(BenchError, match="lists no release of numpy"):
        chain("numpy", "1.0", "2.0", python="3.11.7")
