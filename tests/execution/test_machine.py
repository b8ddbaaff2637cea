"""Tests of what the machine says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.execution import machine

LISTING = """0, GPU-aaaa-1, NVIDIA H200, 570.1, 143771
1, GPU-bbbb-2, NVIDIA H200, 570.1, 143771
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for nvidia-smi that lists two GPUs."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, [0, 1]),
        ("1", [1]),
        ("0,1", [0, 1]),
        ("GPU-bbbb", [1]),
        ("-1", []),
        ("", []),
        ("7", []),
    ],
)
def test_gpus_are_those_left_visible(
    visible: str | None, indices: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By index or by the beginning of a UUID, as CUDA reads the variable."""
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = machine.gpus()
    assert [gpu.index for gpu in found] == indices
    assert all((gpu.name, gpu.memory_mib) == ("NVIDIA H200", 143771) for gpu in found)


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert machine.gpus() == []


def test_the_instruction_set_is_the_widest_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level needs all of its flags; oneDNN's cap is part of the name."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(machine, "_cpu_flags", lambda: {"sse4_2", "avx", "avx2", "fma", "avx512f"})
    assert machine.isa() == "avx2"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2_VNNI")
    assert machine.isa() == "avx2_max_avx2_vnni"


def test_a_folder_without_a_checkout_says_why(tmp_path: Path) -> None:
    """A probe that fails leaves its reason."""
    found = machine.commit(tmp_path)
    assert found["commit"].startswith("unknown: ")


def test_what_speed_depends_on_is_known_here() -> None:
    """No probe fails on Linux."""
    described = machine.describe(machine.limits())
    assert int(described["cores"]) >= 1
    assert described["memory"].endswith("GiB")
    assert not any(value.startswith("unknown") for value in described.values())


def test_a_training_process_imports_no_dask() -> None:
    """Its supervisor, who has it, says what it finds out: every start takes half as long."""
    code = (
        "import sys; from bench.execution import machine, trainer; machine.describe({}); "
        "assert {'dask', 'distributed'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_code_alone_makes_a_checkout_dirty(tmp_path: Path) -> None:
    """A picture of `bench history --plot` does not; changed and new code does, and is named."""

    def git(*words: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)

    git("init", "-q")
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/a.py").write_text("1\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    (tmp_path / "history.svg").write_text("<svg/>")
    found = machine.commit(tmp_path)
    assert (found["dirty"], "changed" in found) == ("false", False)
    (tmp_path / "bench/a.py").write_text("2\n")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/test_b.py").write_text("3\n")
    found = machine.commit(tmp_path / "bench")
    assert (found["dirty"], found["changed"]) == ("true", "bench/a.py, suites/test_b.py")
    assert machine.uncommitted(tmp_path).startswith(
        "uncommitted code (bench/a.py, suites/test_b.py):"
    )
    git("add", "-A")
    git("commit", "-qm", "second")
    assert machine.uncommitted(tmp_path) == ""
