"""Tests that faults planted in TensorFlow itself are seen: one of each kind, on made-up images.

All of them, on MNIST: ``python tests/checks/planted.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf

from bench import mnist
from bench.checks.examiner import Examiner
from checks.planted import examined, excess, faults
from support.pages import excerpts

FAULTS = {fault.name: fault for fault in faults()}
KINDS = (
    "tanh, slope",
    "he_uniform, variance +1.01 %",
    "random_normal, variance +1.01 %",
    "BatchNormalization, epsilon",
    "BatchNormalization, momentum",
    "LayerNormalization, epsilon",
    "tf.clip_by_norm, threshold",
    "SGD, clipvalue",
    "Adam, epsilon",
    "RMSprop, rho",
)


@pytest.fixture(scope="module")
def examiner(image_cache: tuple[Path, str]) -> Examiner:
    return Examiner(mnist.open_cached(image_cache[1], cache_dir=image_cache[0]), "cpu")


@pytest.mark.parametrize("name", KINDS)
def test_a_planted_fault_is_seen(name: str, examiner: Examiner) -> None:
    """A check of its own family fails with it; without it none does, as the tests of families say."""
    fault = replace(FAULTS[name], families=FAULTS[name].families[:1])
    assert max(excess(results) for results in examined(fault, examiner).values()) > 2.0


def test_the_page_has_every_fault() -> None:
    """docs/numerics.md: a row for each that can be planted, and a column for each family."""
    tables = [one for one in excerpts() if one.page == "numerics.md" and one.kind == "table"]
    (table,) = [one for one in tables if one.headers[0] == "fault"]
    rows = table.column(0)
    assert set(FAULTS) <= set(rows)
    assert not [row for row in rows if row not in FAULTS and _known_here(row.split(",")[0])]
    assert set(table.headers[1:]) == {family for one in faults() for family in one.families}


def _known_here(name: str) -> bool:
    """Whether this Keras has the optimizer; no other kind of fault is of some versions alone."""
    return name[0].islower() or hasattr(tf.keras.optimizers, name) or hasattr(tf.keras.layers, name)


def test_no_constant_is_forgotten() -> None:
    """Every kind of fault that can be planted here is."""
    assert len(FAULTS) >= 70
