"""The machine as its operating system describes it. A probe that fails leaves its reason."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

#: CPU flags that numeric libraries dispatch on, widest last; a level needs all of its flags.
_LEVELS = (
    ("sse4_2", {"sse4_2"}),
    ("avx", {"avx"}),
    ("avx2", {"avx2", "fma"}),
    ("avx512", {"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
    ("avx512_vnni", {"avx512_vnni"}),
    ("avx512_bf16", {"avx512_bf16"}),
    ("avx512_fp16", {"avx512_fp16"}),
    ("amx", {"amx_tile", "amx_bf16"}),
)


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver lists it."""

    index: int
    uuid: str
    """Names it for ``CUDA_VISIBLE_DEVICES``, whose indices may follow another order."""
    name: str
    driver: str
    memory_mib: int
    """0 if the driver does not list it."""


def cores() -> int:
    """Cores that this process may use, limits of containers included."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def memory_bytes() -> int:
    """Memory that this process may use, limits of containers included."""
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)


def gpus() -> list[Gpu]:
    """GPUs that ``CUDA_VISIBLE_DEVICES`` leaves visible; empty without a driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    query = "index,uuid,name,driver_version,memory.total"
    try:
        listing = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    listed = [
        Gpu(int(row[0]), row[1], row[2], row[3], _mib(row[4]))
        for row in csv.reader(listing.splitlines(), skipinitialspace=True)
        if len(row) == 5 and row[0].isdigit()
    ]
    if visible is None:
        return listed
    wanted = [name.strip() for name in visible.split(",") if name.strip()]
    parts = [name for name in wanted if name.startswith("MIG-")]  # slices are not in the listing
    if parts:
        return [Gpu(i, name, "MIG slice", listed[0].driver, 0) for i, name in enumerate(parts)]
    return [
        gpu
        for gpu in listed
        if any(name == str(gpu.index) or gpu.uuid.startswith(name) for name in wanted)
    ]


def _mib(text: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        return 0


def isa() -> str:
    """The widest instruction set that numeric libraries may use here, oneDNN's cap included."""
    flags = _cpu_flags()
    level = next((name for name, needs in reversed(_LEVELS) if needs <= flags), None)
    name = level or platform.machine() or "unknown"
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"{name}_max_{cap.lower()}" if cap else name


def limits() -> dict[str, str]:
    """What this process may use of the machine."""
    return {
        "cores": _probe(lambda: str(cores())),
        "memory": _probe(lambda: f"{memory_bytes() / 2**30:.1f} GiB"),
    }


def describe(limits: Mapping[str, str]) -> dict[str, str]:
    """Facts that speed depends on.

    Args:
        limits: what :func:`limits` says in this process, or in the one that started it.
    """
    devices = gpus()
    return {
        "cpu": _probe(_cpu_model),
        **limits,
        "system": platform.platform(),
        "gpu": ", ".join(gpu.name for gpu in devices) or "none",
        "driver": devices[0].driver if devices else "none",
        "virtual": "yes" if "hypervisor" in _cpu_flags() else "no",
    }


#: What a result depends on, by git's patterns from the top of the checkout.
_CODE = tuple(f":(top)*.{ending}" for ending in ("py", "toml", "ini", "cfg", "jinja"))
#: Files that are named.
_MOST_CHANGED = 5


def commit(folder: Path) -> dict[str, str]:
    """``commit`` and ``dirty`` of the checkout that ``folder`` lies in, and the first files with
    uncommitted code, ``changed``, if there are any. Pictures and notes are no code."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30
        )
        if done.returncode:
            raise OSError(done.stderr.strip().splitlines()[0] if done.stderr else "git failed")
        return done.stdout.strip()

    known = {"commit": _probe(lambda: git("rev-parse", "HEAD"))}
    try:
        changed = git("status", "--porcelain", "--untracked-files=all", "--", *_CODE).splitlines()
    except (OSError, subprocess.SubprocessError) as error:
        return {**known, "dirty": f"unknown: {error}"}
    if not changed:
        return {**known, "dirty": "false"}
    names = [line.split(maxsplit=1)[-1] for line in changed[:_MOST_CHANGED]]
    return {**known, "dirty": "true", "changed": ", ".join(names)}


def uncommitted(folder: Path) -> str:
    """A warning where a run that starts here cannot become a baseline, as nobody could repeat it; empty
    where it can."""
    changed = commit(folder).get("changed")
    return f"uncommitted code ({changed}): no baseline can be made of this run" if changed else ""


def _probe(read: Callable[[], str]) -> str:
    try:
        return read()
    except (OSError, ValueError, subprocess.SubprocessError, psutil.Error) as error:
        return f"unknown: {error}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next(
        (
            set(line.partition(":")[2].split())
            for line in lines
            if line.startswith(("flags", "Features"))
        ),
        set(),
    )
