"""Family ``invariant``: all cells are covered, TensorFlow passes, planted faults do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from bench.cells.cell import Cell, from_texts
from bench.cells.grids import GRIDS
from bench.checks import invariant
from bench.checks.examiner import Examiner
from bench.checks.lab import AbsentError, Lab
from bench.results.check import result
from bench.theory.rounding.formats import FLOAT32


def check_of(part: str, precision: str) -> Any:
    float32 = [
        check
        for check in invariant.checks("quick")
        if check.subject == f"tier:quick-{part}" and check.precision == "float32"
    ]
    assert len(float32) == 1
    return msgspec.structs.replace(float32[0], precision=precision)


@pytest.mark.parametrize("tier", ["quick", "standard", "full"])
def test_every_cell_of_every_grid_has_its_network_listed(tier: str) -> None:
    """Whatever differs in a first pass is among the cells of a network, but for cells that are there
    for how they step; ids are distinct."""
    networks = invariant.networks(tier)
    covered = {cell for cells in networks.values() for cell in cells}
    for grid in GRIDS.values():
        for cell in grid.cells(tier).values():
            assert invariant._first_pass(cell) in covered or cell.engine != "in_graph"
            assert cell.loss == "crossentropy", "reruns.steps knows no other"
    checks = invariant.checks(tier)
    assert len({check.id for check in checks}) == len(checks)
    assert sum(check.precision == "float32" for check in checks) == len(networks)
    assert len(checks) == 4 * len(networks) or tier == "quick"


@pytest.mark.parametrize("precision", invariant.PRECISIONS)
def test_the_quick_tier_has_every_kind_of_layer_in_every_precision(precision: str) -> None:
    def parts(cells: Iterable[Cell]) -> set[tuple[str, ...]]:
        deep = [cell for cell in cells if cell.depth > 2]
        return {(cell.activation, cell.normalization) for cell in deep} | {
            (cell.activation, cell.architecture, cell.branch) for cell in deep
        }

    checked = [
        from_texts({name: text for name, text in check.axes.items() if name != "tier"})
        for check in invariant.checks("quick")
        if check.precision == precision
    ]
    assert parts(checked) == parts(invariant.networks("quick"))


SUBJECTS = (
    "depth:1-act:relu",
    "depth:10-arch:residual-branch:scaled-act:relu",
    "depth:3-act:sigmoid-norm:batch",
    "depth:3-act:relu-norm:layer",
    "depth:0-act:relu",
)


@pytest.mark.parametrize("precision", invariant.PRECISIONS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_tensorflow_keeps_them(lab: Lab, subject: str, precision: str) -> None:
    """Nothing is out, and something was compared."""
    check = check_of(subject, precision)
    found = result(check, invariant.run(check, lab))
    assert not found.deviations
    assert found.compared > 0
    assert found.closest is not None
    assert found.closest.excess is not None
    assert found.closest.excess > 0


@pytest.mark.parametrize(
    ("precision", "offset"), [("float32", 1e-3), ("float64", 1e-9), ("mixed_bfloat16", 1.0)]
)
def test_an_activation_with_an_offset_is_not_homogeneous(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, precision: str, offset: float
) -> None:
    """The sizes of fault that each precision shows."""
    from bench.nets import builder

    monkeypatch.setattr(
        builder,
        "activation",
        lambda cell: tf.keras.layers.Activation(
            lambda x: tf.nn.relu(x) + tf.cast(offset, x.dtype), dtype=cell.precision
        ),
    )
    found = list(invariant.run(check_of("depth:1-act:relu", precision), lab))
    assert any("homogeneity" in each.tensor for each in found if each.out)


def test_a_pass_that_overflows_everywhere_is_no_success(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is absent, with the reason."""
    monkeypatch.setitem(invariant.LOSS_SCALE, "mixed_float16", 2.0**40)
    with pytest.raises(AbsentError, match="every pass of this network overflows"):
        list(invariant.run(check_of("depth:3-arch:residual-act:relu", "mixed_float16"), lab))


def test_a_false_nan_in_every_pass_is_no_overflow(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An activation that gives NaN where its true value is finite fails the check."""
    from bench.nets import builder

    monkeypatch.setattr(
        builder,
        "activation",
        lambda cell: tf.keras.layers.Activation(
            lambda x: x * tf.cast(np.nan, x.dtype), dtype=cell.precision
        ),
    )
    check = check_of("depth:1-act:relu", "float32")
    found = Examiner(lab.data, "cpu").examine(check)
    assert found.fails
    assert not found.absent
    assert "not finite, though its true value is" in found.reason


@pytest.mark.parametrize("rule", ["value_0.01", "norm_0.1", "global_norm_0.1", "norm_100.0"])
def test_clipping_is_judged_in_every_rule(rule: str) -> None:
    """The rule's own are in; gradients left alone above the threshold, or cut at another, are out."""
    random = np.random.default_rng(0)
    gradients = [random.normal(size=(30, 20)).astype(np.float32), np.zeros(20, np.float32)]
    cell = Cell(clipping=rule)
    kind, threshold = cell.clipping_rule
    norm = np.sqrt(np.sum(gradients[0] ** 2))
    factor = np.float32(min(1.0, threshold / norm))
    clipped = [gradients[0] * factor, gradients[1]]
    if kind == "value":
        clipped = [
            np.clip(array, -np.float32(threshold), np.float32(threshold)) for array in gradients
        ]

    def out(found: list[np.ndarray]) -> bool:
        return any(
            each.out for each in invariant.clipping_deviations(cell, gradients, found, FLOAT32)
        )

    assert not out(clipped)
    assert out([array * np.float32(1 + 1e-4) for array in clipped])
    assert out(gradients) == (rule != "norm_100.0")
