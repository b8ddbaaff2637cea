"""Compiled modules that a new environment shares with one that is kept.

The first import of TensorFlow and Keras takes 8 s of a core, as 2,400 modules are compiled then; later
ones take 3 s. uv links files of packages from its cache, so a module of the same release is one file in
both environments; what was compiled of it holds in both.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from bench.environments.requirements import lock_versions


def share_bytecode(venv: Path, lock: str, kept: Path, lock_in: Callable[[Path], str]) -> None:
    """Links compiled modules of the kept environment that has most packages in common.

    Where uv copies files, or a file system has no links, nothing is shared.

    Args:
        venv: the new environment.
        lock: what it holds.
        kept: folder of all environments.
        lock_in: the lock of an environment by its folder; empty if it cannot be read.
    """
    wanted = lock_versions(lock).items()
    common = {
        folder: len(wanted & lock_versions(lock_in(folder)).items())
        for folder in kept.iterdir()
        if (folder / "venv").is_dir()
    }
    if not any(common.values()):
        return
    donor = max(common, key=lambda folder: common[folder]) / "venv"
    for compiled in donor.glob("lib/*/site-packages/**/__pycache__/*.pyc"):
        inside = compiled.relative_to(donor)
        module = inside.parents[1] / f"{compiled.name.partition('.')[0]}.py"
        with contextlib.suppress(OSError):  # not there, or no links
            if (donor / module).samefile(venv / module):
                (venv / inside).parent.mkdir(exist_ok=True)
                os.link(compiled, venv / inside)
