"""The main job with the real TensorFlow, on images of MNIST's shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.main_jobs import Job

CELLS = ("--cell", "depth:1-arch:mlp-act:relu-init:he_normal-norm:none", "--seeds", "2")


@pytest.fixture
def job(tmp_path: Path, images_file: Path, image_cache: tuple[Path, str]) -> Job:
    environment = {"BENCH_CACHE_DIR": str(image_cache[0]), "BENCH_MNIST_DIR": str(images_file)}
    return Job(tmp_path, environment | {"GITHUB_STEP_SUMMARY": ""})


def test_the_same_command_twice_is_identical(job: Job) -> None:
    """Bit-identical training in new processes; and the network learns these images."""
    job.run(*CELLS, "--run", "first")
    job.accept("first")
    output = job.run(*CELLS, "--run", "second")
    assert re.search(r"^identical +1$", output, re.MULTILINE)
    first, second = (job.records(name) for name in ("first", "second"))
    assert {(r.seed, r.digest) for r in first} == {(r.seed, r.digest) for r in second}
    assert len({r.digest for r in first}) == 2
    assert min(r.test_accuracy or 0 for r in first) > 0.9


def test_another_learning_rate_is_changed(job: Job) -> None:
    """A planted change of Keras' SGD, a tenth of a percent, changes every digest and leaves the
    rounding envelope; the first update is named. That is found against a run by training copies."""
    job.run(*CELLS, "--run", "first")
    (job.folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'bench.execution.trainer' in sys.orig_argv:\n"
        "    import tensorflow as tf\n"
        "    class SGD(tf.keras.optimizers.SGD):\n"
        "        def apply_gradients(self, pairs, *args, **kwargs):\n"
        "            pairs = [(gradient * 1.001, variable) for gradient, variable in pairs]\n"
        "            return super().apply_gradients(pairs, *args, **kwargs)\n"
        "    tf.keras.optimizers.SGD = SGD\n"
    )
    arguments = [*CELLS, "--run", "second", "--against", "results/first"]
    output = job.run(*arguments, expect=1, PYTHONPATH=str(job.folder))
    assert re.search(r"^changed +1$", output, re.MULTILINE)
    report = (job.folder / "results" / "second" / "report.md").read_text()
    assert "losses leave the rounding envelope at step 1" in report
    assert re.search(r"it begins in layer 1, (kernel|bias), which departs by [^ ]+ of its", report)
    assert {copy.crash for copy in job.copies("second")} == {None}
    first, second = (job.records(name) for name in ("first", "second"))
    assert {r.digest for r in first}.isdisjoint(r.digest for r in second)
