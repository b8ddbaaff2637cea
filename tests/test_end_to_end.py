"""The main job as users start it, with the real TensorFlow, on images of MNIST's shape.

What it finds in a changed TensorFlow is told by ``jobs/test_upgrade.py``, which plants a change.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.main_jobs import Job

CELLS = ("--cell", "depth:1-arch:mlp-act:relu-init:he_normal-norm:none", "--seeds", "2")


def test_the_same_command_twice_is_identical(
    tmp_path: Path, image_variables: dict[str, str], preloaded_python: str
) -> None:
    """Bit-identical training in new processes; and the network learns these images. The first run is
    started as users do; the main job of the second is forked, with imports done."""
    job = Job(tmp_path, image_variables, python=preloaded_python)  # of the second run
    subprocess.run(
        [sys.executable, "-m", "pytest", *job.arguments(*CELLS, "--run", "first")],
        cwd=job.folder,
        env=job.variables(),
        stdout=subprocess.DEVNULL,
        timeout=600,
        check=True,
    )
    job.accept("first")
    output = job.run(*CELLS, "--run", "second")
    assert re.search(r"^cells: (.*, )?1 identical\b", output, re.MULTILINE)
    first, second = (job.records(name) for name in ("first", "second"))
    assert {(r.seed, r.digest) for r in first} == {(r.seed, r.digest) for r in second}
    assert len({r.digest for r in first}) == 2
    assert min(r.test_accuracy or 0 for r in first) > 0.9
