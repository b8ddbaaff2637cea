"""Tests of what a side of an upgrade may be, and of what is known before anything is downloaded."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bench.environments import requirements
from bench.environments.requirements import (
    NUMPY,
    OWN_PYTHONS,
    TENSORFLOW,
    numpy_bound,
    parse_side,
    pythons,
    refusal,
    span,
    tensorflow_minors,
)
from bench.errors import BenchError


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("2.20", ("tensorflow-cpu==2.20.*",)),
        ("2.20.0", ("tensorflow-cpu==2.20.0",)),
        ("2.15.0.post1", ("tensorflow-cpu==2.15.0.post1",)),
        ("2.21.0rc1", ("tensorflow-cpu==2.21.0rc1",)),
        ("2.21rc1", ("tensorflow-cpu==2.21rc1",)),
        (
            "tensorflow-cpu==2.21.0 keras==3.12.*",
            ("tensorflow-cpu==2.21.0", "keras==3.12.*"),
        ),
        (
            "TensorFlow[and-cuda] >= 2.18, < 2.20\n keras",
            ("tensorflow[and-cuda]<2.20,>=2.18", "keras"),
        ),
        ("Tensorflow_CPU~=2.19.0", ("tensorflow-cpu~=2.19.0",)),
        ("tf-nightly", ("tf-nightly",)),
    ],
)
def test_what_is_understood(text: str, parsed: tuple[str, ...]) -> None:
    """Versions alone, requirements with and without spaces; names and extras are normalized."""
    assert parse_side(text).requirements == parsed


def test_bare_versions_may_be_of_another_distribution() -> None:
    """On a GPU, where ``tensorflow-cpu`` would find none."""
    assert parse_side("2.20", package="tensorflow[and-cuda]").requirements == (
        "tensorflow[and-cuda]==2.20.*",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no requirements"),
        (" \n", "no requirements"),
        ("2", "'2' leaves the minor version open"),
        ("2.2l", "'2.2l' is no version"),
        ("2.20=", "'2.20=' is no version"),
        ("keras==3.12.0", "'keras==3.12.0' has no TensorFlow"),
        ("tensorflow-probability==0.25", "has no TensorFlow"),
        ("2.20 tensorflow==2.20", "has tensorflow and tensorflow-cpu, which overwrite each other"),
        ("2.20 keras=3", "'keras=3' is no requirement"),
        ("2.20 keras==", "'keras==' is no requirement"),
        ("2.20 --index-url=x", "'--index-url=x' is an option, not a requirement"),
        ("-r 2.20", "'-r' is an option, not a requirement"),
        ("2.20 -e.", "'-e.' is an option, not a requirement"),
        ("tensorflow-cpu@file:///tmp/x.whl", "has a marker, an address or a path"),
        ("2.20 git+ssh://host/x", "has a marker, an address or a path"),
        ("2.20 ./local", "has a marker, an address or a path"),
        ("2.20 c:\\x.whl", "there is no such wheel"),
        ("2.20 keras;python_version<'4'", "has a marker, an address or a path"),
        ("2.20 #comment", "'#comment' is no requirement"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """With the word that is wrong, and a way out."""
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        parse_side(text)
    assert caught.value.hint


WORDS = st.lists(
    st.sampled_from(
        [
            *(
                "2.20",
                "tensorflow",
                "keras",
                "-",
                "--",
                "=",
                "==",
                "@",
                "/",
                "file:",
                ";",
                "[",
                "]",
            ),
            *("*", ",", " ", "\n", "\t", "\\", "#", "$(x)", "1", ".", "<", "~=", "\0", "é", "%20"),
        ]
    ),
    max_size=8,
).map("".join)


@given(st.one_of(st.text(max_size=30), WORDS).map(lambda text: f"2.20 {text}"))
def test_only_names_and_versions_ever_pass(text: str) -> None:
    """Whatever is written: either a message, or words that no installer takes for anything else."""
    try:
        side = parse_side(text)
    except BenchError:
        return
    for word in side.requirements:
        parsed = Requirement(word)
        assert parsed.url is None
        assert parsed.marker is None
        assert re.fullmatch(
            r"[a-z0-9][a-z0-9-]*(\[[A-Za-z0-9._,-]+\])?[A-Za-z0-9.*+!=<>~,-]*", word
        )


def test_variables() -> None:
    """They are part of a side and of its name; only TensorFlow's own may be set."""
    side = parse_side("2.20", variables=["TF_ENABLE_ONEDNN_OPTS=0", "XLA_FLAGS=--a=b"])
    assert side.variables == {"TF_ENABLE_ONEDNN_OPTS": "0", "XLA_FLAGS": "--a=b"}
    assert side.label == "tensorflow-cpu==2.20.* TF_ENABLE_ONEDNN_OPTS=0 XLA_FLAGS=--a=b"
    for wrong in ("TF_ENABLE_ONEDNN_OPTS", "=0", "1X=2", "A B=1", "A=\0"):
        with pytest.raises(BenchError, match="is no environment variable"):
            parse_side("2.20", variables=[wrong])
    for own in ("PYTHONPATH=/x", "PYTHONHOME=/x", "KERAS_BACKEND=jax", "KERAS_HOME=/x"):
        with pytest.raises(BenchError, match=f"{own.partition('=')[0]} is set by bench"):
            parse_side("2.20", variables=[own])


def test_an_interpreter_is_a_side_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path or its environment's folder, links kept; but not together with requirements."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    for given_path in ("venv", "venv/bin/python", str(python)):
        assert parse_side(python=given_path).python == str(python)
    with pytest.raises(BenchError, match="a side is one or the other"):
        parse_side("2.20", python="venv")


@pytest.mark.parametrize(
    ("text", "minors"),
    [
        ("2.20", {20}),
        ("2.15.0.post1", {15}),
        ("2.21.0rc1", {21}),
        ("tensorflow>=2.16,<2.19", {16, 17, 18}),
        ("tensorflow!=2.16.*,>=2.15.1,<2.18", {15, 17}),
        ("tensorflow-cpu~=2.19.0", {19}),
        ("tensorflow==1.15", set()),
        ("tf-nightly==2.22.0.dev20260101", {22}),
    ],
)
def test_which_tensorflow_is_meant(text: str, minors: set[int]) -> None:
    """The minor releases that a specifier leaves."""
    assert tensorflow_minors(parse_side(text)) == minors


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2.12", {10, 11}),
        ("2.15", {10, 11}),
        ("2.16", {10, 11, 12}),
        ("2.20", {10, 11, 12, 13}),
        ("2.99", {10, 11, 12, 13}),  # the table does not know it, the index may
        ("2.20 numpy==1.26.4", {10, 11, 12}),  # no wheels of NumPy 1.26 for 3.13
        ("2.21 numpy>=2.3", {11, 12, 13}),  # NumPy 2.3 left 3.10
        ("2.12 numpy==1.22.4", {10}),
        ("2.21 numpy==9.9", {10, 11, 12, 13}),  # a NumPy that the table does not know
        ("2.15 numpy>=2", set()),
        ("2.20 numpy==1.23.5", set()),
        ("2.11", set()),
    ],
)
def test_on_which_python(text: str, fits: set[int]) -> None:
    """Where TensorFlow has wheels, and a NumPy that goes with it has them too."""
    side = parse_side(text)
    assert pythons(side) == fits
    assert bool(refusal(side)) == (not fits)


def test_why_a_side_cannot_be_had() -> None:
    """NumPy is named with its bound, a TensorFlow that is too old with the oldest."""
    assert refusal(parse_side("2.11")) == (
        "tensorflow-cpu==2.11.*: bench is made for TensorFlow 2.12 and later"
    )
    assert refusal(parse_side("2.15 numpy>=2")) == (
        "tensorflow-cpu==2.15.* numpy>=2: numpy>=2 does not go with it: "
        "TensorFlow 2.15 needs NumPy >=1.23.5,<2 and Python 3.10 or 3.11"
    )


def test_the_numpy_that_tensorflow_is_compiled_for() -> None:
    """One bound where all that fit agree, none otherwise."""
    assert numpy_bound(parse_side("2.14.0")) == ">=1.23.5,<2"
    assert numpy_bound(parse_side("tensorflow>=2.17,<2.19")) == ""
    assert numpy_bound(parse_side("2.99")) == ""


def test_the_tables_hold_what_bench_runs_on() -> None:
    """Every TensorFlow of the table has a Python, and on each of these a NumPy that it allows."""
    assert sorted(TENSORFLOW) == list(range(requirements.FIRST_TENSORFLOW, max(TENSORFLOW) + 1))
    for first, last in [*(one.pythons for one in TENSORFLOW.values()), *NUMPY.values()]:
        assert OWN_PYTHONS[0] <= first <= last <= OWN_PYTHONS[1]
    for minor, release in TENSORFLOW.items():
        assert pythons(parse_side(f"2.{minor}")) == set(
            range(release.pythons[0], release.pythons[1] + 1)
        )
        assert str(SpecifierSet(release.numpy))


@pytest.mark.parametrize(
    ("minors", "words"),
    [
        ([10], "3.10"),
        ([10, 11], "3.10 or 3.11"),
        ([10, 11, 12], "3.10 to 3.12"),
        ([10, 12, 13], "3.10 or 3.12 or 3.13"),
    ],
)
def test_spans_in_words(minors: list[int], words: str) -> None:
    """A range only where nothing is left out."""
    assert span(minors) == words


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """With what is expected in their place."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "keras.whl").touch()
    for word, expected in (
        (f"{tmp_path}/none.whl", "there is no such wheel"),
        (f"{tmp_path}/keras.whl", "Invalid wheel filename"),
        (f"{tmp_path}/empty", "no checkout of Keras"),
    ):
        with pytest.raises(BenchError, match=expected):
            parse_side(f"2.20 {word}")
    with pytest.raises(BenchError, match="2 package indexes for one side"):
        parse_side("2.20 https://one/simple https://other/simple")


def test_a_wheel_stands_for_its_name_and_version(tmp_path: Path) -> None:
    wheel = tmp_path / "tensorflow_cpu-2.22.0rc1-cp311-cp311-linux_x86_64.whl"
    wheel.touch()
    side = parse_side(f"{wheel} keras==3.12.*")
    assert side.requirements == ("tensorflow-cpu==2.22.0rc1", "keras==3.12.*")
    assert side.files == (str(wheel),)
    assert side.tensorflow == "tensorflow-cpu"
