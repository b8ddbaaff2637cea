"""``--model`` and ``--grid-file`` in the suites: what users bring is trained and compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED
from support.main_jobs import REPOSITORY, Job

MODELS = REPOSITORY / "tests" / "support" / "own_models.py"
GRIDS = REPOSITORY / "examples" / "own_grids.py"
SUITE = "suites/test_model.py"
NAMES = ["suites/test_own_grids.py", "suites/test_model.py", "suites/test_clipping.py"]


@pytest.fixture
def real(tmp_path: Path, image_variables: dict[str, str], preloaded_python: str) -> Job:
    """Main jobs that train in earnest."""
    options = ("--seeds", "2", "--workers", "1")
    return Job(tmp_path, image_variables, options, preloaded_python)


def model(function: str) -> tuple[str, ...]:
    """Options of a small model."""
    sizes = ("--model-steps", "6", "--model-batch", "8")
    return "--model", f"{MODELS}:{function}", *sizes


def test_a_model_is_compared_with_an_earlier_run(real: Job) -> None:
    """Which starts from the same numbers: kept with the first run, taken from there by later ones."""
    output = real.run(
        SUITE, *model("functional"), "--run", "before", "--all-seeds", expect=EXIT_UNDECIDED
    )
    assert "nothing could be compared" in output
    against = ("--against", "results/before")
    output = real.run(SUITE, *model("functional"), "--run", "later", *against, expect=EXIT_OK)
    assert "2 cells identical" in output
    weights = [
        real.folder / "results" / run / "model" / "weights-0.npz" for run in ("before", "later")
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    output = real.run(
        SUITE,
        *(*model("functional"), "--run", "changed", *against),
        expect=EXIT_REGRESSED,
        OWN_FAULT="scale",
    )
    assert "scaled, output" in output


def test_nothing_else_is_collected_beside_a_model(real: Job) -> None:
    """Of two files of suites: the model's cells, no claim and no grid."""
    output = real.run(*NAMES, *model("functional"), "--collect-only", "-q")
    assert output.count("::") == 2
    assert output.count("test_model.py::test_cell[model/") == 2
    assert not (real.folder / "results").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--model", "missing.py:build"), "missing.py: cannot be read"),
        (("--arrays", "a.npz"), "--arrays are of a model"),
        ((*model("no_model"),), "no_model() gives a numpy.ndarray, and no tf.keras.Model"),
        (("--grid-file", "missing.py"), "missing.py: no such Python file"),
        ((*model("functional"), "--scheduler", "tcp://x:1"), "is trained on this machine"),
    ],
)
def test_what_cannot_be_used_ends_the_session(real: Job, words: tuple[str, ...], told: str) -> None:
    output = real.run(SUITE, *words, expect=EXIT_TROUBLE)
    assert told in output


def test_cells_of_a_grid_file_are_first_class(job: Job) -> None:
    """Collected by grid and id, trained, accepted as a baseline and compared with it."""
    names = ("suites/test_own_grids.py", "--grid-file", str(GRIDS), "-k", "tanh")
    output = job.run(*names, "--collect-only", "-q")
    assert output.count("test_own_grids.py::test_cell[narrow/depth:") == 4
    job.run(*names, "--run", "first", "--axis", "depth=2")
    assert {record.cell.width for record in job.records("first")} == {8}
    job.accept("first")
    (stored,) = (job.folder / "baselines").glob("*/narrow.json")
    assert len(json.loads(stored.read_text())["cells"]) == 2
    output = job.run(*names, "--run", "second", "--axis", "depth=2")
    assert "2 cells identical" in output


def test_without_a_file_nothing_of_the_users_is_collected(job: Job) -> None:
    output = job.run(*NAMES, "--collect-only", "-q")
    assert "test_own_grids" not in output
    assert "test_model" not in output
    assert "test_clipping" in output
