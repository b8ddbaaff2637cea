"""Environment: the class names what bits depend on, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from bench.errors import BenchError
from bench.results.environment import Environment, Numerics
from bench.results.files import pretty, read_json
from support.builders import CLASS, environment

numerics = st.builds(
    Numerics,
    device=st.sampled_from(("cpu", "gpu")),
    isa=st.sampled_from(("avx512_bf16", "avx2", "sm90", "unknown: no /proc")),
    onednn=st.booleans(),
    xla=st.booleans(),
    tf32=st.booleans(),
    threads=st.integers(1, 256),
)


def cpu(**changes: object) -> Numerics:
    return msgspec.structs.replace(environment().numerics, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "cpu-avx512_bf16-onednn-1thread"),
        ({"onednn": False}, "cpu-avx512_bf16-1thread"),
        ({"xla": True}, "cpu-avx512_bf16-onednn-xla-1thread"),
        ({"threads": 16}, "cpu-avx512_bf16-onednn-16threads"),
        ({"isa": "AVX2"}, "cpu-avx2-onednn-1thread"),
        (
            {"device": "gpu", "isa": "sm90", "onednn": False, "tf32": True},
            "gpu-sm90-tf32-1thread",
        ),
    ],
)
def test_class_is_what_it_was(changes: dict[str, object], expected: str) -> None:
    """Stored baselines are found by this name."""
    assert cpu(**changes).environment_class == expected


@given(numerics)
def test_class_names_a_folder(value: Numerics) -> None:
    """No space, slash or upper case, whatever a probe answered."""
    assert re.fullmatch(r"[a-z0-9_-]+", value.environment_class)


@given(numerics, numerics)
def test_class_tells_numerics_apart(one: Numerics, other: Numerics) -> None:
    """Equal classes mean equal numerics."""
    assert (one.environment_class == other.environment_class) == (one == other)


@given(numerics)
def test_round_trip(value: Numerics) -> None:
    """environment.json comes back equal."""
    before = msgspec.structs.replace(environment(), numerics=value)
    assert msgspec.json.decode(pretty(before), type=Environment) == before


def test_class_ignores_versions() -> None:
    """Another TensorFlow is judged against the same baseline: that is the comparison."""
    other = environment(software={"tensorflow": "2.22.0"}, machine={"cpu": "another"})
    assert other.environment_class == environment().environment_class == CLASS


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ((b'"schema": 1', b'"schema": 2'), "schema 2, and this version reads schema 1"),
        ((b'"machine"', b'"machines"'), "unknown field `machines`"),
        ((b'"threads": 1', b'"threads": "1"'), "Expected `int`, got `str`"),
        ((b'"threads": 1', b'"threads": NaN'), "invalid character"),
        ((b'"command"', b'"retried": [1], "command"'), "retried of run is no list of texts"),
        ((b"}\n", b""), "truncated"),
    ],
)
def test_damage_is_refused(tmp_path: Path, edit: tuple[bytes, bytes], why: str) -> None:
    """The message names the file and what is wrong with it."""
    content = pretty(environment())
    assert edit[0] in content
    path = tmp_path / "environment.json"
    path.write_bytes(content.replace(*edit))
    expected = re.escape(f"{path}: not a valid environment: ") + ".*" + re.escape(why)
    with pytest.raises(BenchError, match=expected):
        read_json(path, Environment)
