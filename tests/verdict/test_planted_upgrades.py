"""Planting faults in a copy of an environment: what is linked, what is replaced, what is concluded."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.expression import compile_expression
from bench.errors import EXIT_TROUBLE, BenchError
from support.planted_faults import BY_NAME, CONTROL, FAULTS, Fault, Place
from verdict.planted_upgrades import (
    Environment,
    Found,
    Probed,
    _acts,
    _places,
    complaints,
    copied,
    environment,
    link_tree,
    main,
    plant,
    planted,
    row,
)

TEXT = "def step(x):\n    return x - 1\n"


def fault(**fields) -> Fault:
    defaults = {
        "name": "late",
        "reason": "for a test",
        "file": "keras/sgd.py",
        "old": "x - 1",
        "new": "x - 2",
        "grids": ("depth",),
        "expression": "depth:3-",
        "cells": 1,
        "place": Place(since=250, until=300),
    }
    return Fault(**{**defaults, **fields})


@pytest.fixture
def packages(tmp_path) -> Path:
    """A tiny site-packages with Keras, compiled, and something else."""
    folder = tmp_path / "site-packages"
    (folder / "keras").mkdir(parents=True)
    (folder / "keras" / "sgd.py").write_text(TEXT)
    (folder / "keras" / "adam.py").write_text("other = 1\n")
    (folder / "keras-3.15.1.dist-info").mkdir()
    (folder / "keras-3.15.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: keras\nVersion: 3.15.1\n"
    )
    (folder / "keras" / "link.py").symlink_to("adam.py")
    compiled = Path(importlib.util.cache_from_source(str(folder / "keras" / "sgd.py")))
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")
    return folder


@pytest.fixture
def copy(packages, tmp_path) -> Path:
    target = tmp_path / "copy"
    link_tree(packages, target)
    return target


def test_a_copy_shares_every_file(packages, copy):
    """Hard links to all files; links stay links."""
    files = [path for path in packages.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) == 4
    for path in files:
        assert path.samefile(copy / path.relative_to(packages))
    assert (copy / "keras" / "link.py").readlink() == Path("adam.py")


def test_a_tree_that_cannot_be_linked_is_trouble(packages, tmp_path, monkeypatch):
    """As on another file system: no copy is made in its place."""

    def refuse(*_args, **_options):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(BenchError, match=r"cannot be linked to .*cross-device"):
        link_tree(packages, tmp_path / "copy")


def test_planting_breaks_one_link_only(packages, copy):
    """The copy's file changes and the environment's does not; all others stay shared."""
    path = plant(copy, fault())
    assert path == copy / "keras" / "sgd.py"
    assert path.read_text() == TEXT.replace("x - 1", "x - 2")
    assert (packages / "keras" / "sgd.py").read_text() == TEXT
    assert not path.samefile(packages / "keras" / "sgd.py")
    assert (copy / "keras" / "adam.py").samefile(packages / "keras" / "adam.py")
    assert sorted(one.name for one in (copy / "keras").iterdir()) == [
        "__pycache__",
        "adam.py",
        "link.py",
        "sgd.py",
    ]


def test_planting_removes_what_was_compiled(packages, copy):
    """In the copy: Python compiles the planted file anew. The environment keeps its own."""
    plant(copy, fault())
    assert not list((copy / "keras" / "__pycache__").iterdir())
    assert len(list((packages / "keras" / "__pycache__").iterdir())) == 1


@pytest.mark.parametrize(
    ("old", "count"), [("x - 3", 0), ("x", 2)], ids=["not there", "more than once"]
)
def test_another_keras_is_trouble(copy, packages, old, count):
    """The text must be there once; else nothing is written."""
    message = f"sgd.py has {count} times, not once, what begins with {old!r}"
    with pytest.raises(BenchError, match=re.escape(message)):
        plant(copy, fault(old=old))
    assert (copy / "keras" / "sgd.py").samefile(packages / "keras" / "sgd.py")


def test_a_missing_file_is_trouble(copy):
    with pytest.raises(BenchError, match=r"late: .*rmsprop.py cannot be read"):
        plant(copy, fault(file="keras/rmsprop.py"))


def small(packages: Path, folder: Path) -> Environment:
    """A real environment in ``folder`` with the tiny packages."""
    made = copied(Environment(Path(sys.executable), (packages,)), folder)
    return environment(made.python)


def test_an_environment_is_copied_whole(packages, tmp_path):
    """The copy starts and finds its own Keras; a second planting begins from the environment."""
    base = small(packages, tmp_path / "base")
    assert str(tmp_path / "base") in str(base.packages[0])
    for value in (2, 3):
        new = planted(base, fault(new=f"x - {value}"), tmp_path / "planted")
        assert environment(new.python) == new
        assert f"x - {value}" in (new.packages[0] / "keras" / "sgd.py").read_text()
    assert (base.packages[0] / "keras" / "sgd.py").samefile(packages / "keras" / "sgd.py")


def test_a_folder_that_is_there_is_not_written_to(packages, tmp_path):
    (tmp_path / "base").mkdir()
    with pytest.raises(BenchError, match="base: there is something already"):
        copied(Environment(Path(sys.executable), (packages,)), tmp_path / "base")


def test_keras_2_is_trouble(packages, tmp_path):
    """Faults are written for Keras 3."""
    metadata = packages / "keras-3.15.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("3.15.1", "2.12.0"))
    with pytest.raises(BenchError, match=r"has Keras 2\.12\.0, and faults are made for Keras 3"):
        small(packages, tmp_path / "base")
    shutil.rmtree(metadata.parent)
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(BenchError, match="has Keras none"):
        small(packages, tmp_path / "base")


# Faults


def test_names_are_unique():
    assert len(BY_NAME) == len(FAULTS)
    assert CONTROL in FAULTS


@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_a_fault_selects_its_cells(one):
    """As many as it says, all of which reach its moment; and it changes something."""
    matches = compile_expression(one.expression)
    chosen = [
        cell
        for name in one.grids
        for id_, cell in UPGRADE_GRIDS[name].cells(one.tier).items()
        if matches(f"{name}/{id_}")
    ]
    assert len(chosen) == one.cells > 0
    assert one.old != one.new
    if one.place:
        assert all(one.place.since < cell.steps for cell in chosen)


# What is concluded


def cell(verdict="changed", first_step=251, tensor="layer 1, kernel", tensor_step=600):
    return {
        "verdict": verdict,
        "first_step": first_step,
        "tensor": tensor,
        "tensor_step": None if tensor is None else tensor_step,
    }


def found(one: Fault, *cells, answer="not safe", exit_code=1) -> Found:
    return Found(one, {"cells": list(cells), "answer": answer}, exit_code, 40.0)


@pytest.mark.parametrize(
    "one",
    [
        cell(),
        cell("regressed", first_step=300),
        cell(first_step=251, tensor=None),
        cell(first_step=None, tensor_step=251),
    ],
    ids=["both", "last step", "loss alone", "tensor alone"],
)
def test_a_fault_is_found_at_its_place(one):
    assert complaints(found(fault(), one)) == []


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (cell("rounding", first_step=None, tensor=None), "1 x missed (rounding)"),
        (cell("inconclusive"), "1 x missed (inconclusive)"),
        (cell(first_step=None, tensor=None), "1 x no place"),
        (cell(first_step=250), "1 x loss of step 250, before the fault"),
        (cell(first_step=301), "1 x loss of step 301, after 300"),
        (cell(tensor_step=250), "1 x layer 1, kernel before step 250, before the fault"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_missed(one, told):
    assert complaints(found(fault(), one)) == [told]


def test_a_fault_of_inference_leaves_losses_alone():
    """The place is a tensor of inference, at any step, and never a loss."""
    one = fault(place=Place(training=False, tensor="inference|test"))
    right = cell(first_step=None, tensor="logits in inference", tensor_step=0)
    assert complaints(found(one, right)) == []
    wrong = cell(first_step=1, tensor="logits in inference")
    assert complaints(found(one, wrong)) == ["1 x loss of step 1, which is right"]
    wrong = cell(first_step=None, tensor="layer 1, bias")
    assert complaints(found(one, wrong)) == ["1 x layer 1, bias in place of inference|test"]


def test_every_cell_counts():
    """One that is missed among those that are found, and one that was not measured."""
    missed = cell("rounding", None, None)
    assert complaints(found(fault(cells=3), cell(), missed)) == [
        "2 cells in place of 3",
        "1 x missed (rounding)",
    ]


def test_answer_and_exit_code_count():
    told = complaints(found(fault(), cell(), answer="undecided", exit_code=3))
    assert told == ["undecided", "exit code 3"]


def test_a_control_is_identical_and_safe():
    one = fault(place=None)
    same = cell("identical", None, None)
    assert complaints(found(one, same, answer="safe", exit_code=0)) == []
    assert complaints(found(one, cell("rounding"), answer="safe", exit_code=0)) == ["1 x rounding"]
    assert complaints(found(one, cell())) == ["not safe", "exit code 1", "1 x changed"]


def test_a_row_tells_all():
    cells = [cell(), cell(first_step=253), cell("rounding", None, None)]
    assert row(found(fault(cells=3), *cells)) == (
        "| late | 3 | 2 changed, 1 rounding | 251 to 253; 2 x layer 1, kernel at 600 | not safe | 1 | "
        "NO: 1 x missed (rounding) | 40 |"
    )
    assert _places([cell("rounding", None, None)]) == "none"


# Probes


def probed(before=1.0, losses=1.0, logits=1.0) -> Probed:
    return Probed(
        before={"losses": np.array([before])},
        training={"losses": np.array([losses])},
        inference={"logits": np.array([logits])},
    )


def test_a_probe_sees_a_fault_act():
    late, inference = fault(), fault(place=Place(training=False))
    assert _acts(late, probed(), probed(losses=2.0, logits=2.0)) == []
    assert _acts(inference, probed(), probed(logits=2.0)) == []
    assert _acts(fault(place=None), probed(), probed()) == []


def test_a_probe_sees_what_does_not_act():
    late, inference = fault(), fault(place=Place(training=False))
    same = ["training does not differ", "inference does not differ"]
    assert _acts(late, probed(), probed()) == same
    assert _acts(inference, probed(), probed()) == same[1:]
    assert _acts(inference, probed(), probed(losses=2.0, logits=2.0)) == ["losses differs"]
    assert _acts(late, probed(), probed(2.0, 2.0, 2.0)) == ["losses differs before"]
    assert _acts(fault(place=None), probed(), probed(logits=2.0)) == ["logits differs"]


# Command


def test_usage_errors(capsys):
    assert main([]) == EXIT_TROUBLE
    assert main(["folder", "no-such-fault"]) == EXIT_TROUBLE
    assert main(["folder", "--probe", "no-such-fault"]) == EXIT_TROUBLE  # options where one likes
    assert capsys.readouterr().err.count("no fault 'no-such-fault'") == 2


def test_faults_are_listed(capsys):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{one.name}\n    {one.reason}" in listed for one in FAULTS)
