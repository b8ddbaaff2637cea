"""Claims about transformers: what holds, what does not, and when nothing is said."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.measure.tensors import fingerprints
from bench.mnist import MNIST_FINGERPRINT
from bench.results.record import Record
from bench.theory.claim import Claim
from bench.theory.signal.transformer import last_gradient, last_sum, stream
from bench.theory.transformer_claims import TRANSFORMER_LAST_GRADIENT, TRANSFORMER_STREAM
from support.builders import flow, trained

CELL = Cell(
    architecture="transformer",
    depth=2,
    width=16,
    activation="gelu",
    normalization="layer",
    initializer="glorot_normal",
)


def records(total: float, signal: float, *, data: str = MNIST_FINGERPRINT) -> list[Record]:
    """Two seeds whose last sum, and gradient at the last activation, have these mean squares."""
    tensors = {last_sum(CELL): np.full(8, math.sqrt(total)), "logits": np.zeros(8)}
    start = msgspec.structs.replace(flow(CELL), signal=[1.0, signal])
    return [
        msgspec.structs.replace(
            trained(CELL, seed, data=data), start=start, tensors=fingerprints({0: tensors})
        )
        for seed in (0, 1)
    ]


SUM, GRADIENT = stream(CELL), last_gradient(CELL, 0.0)


@pytest.mark.parametrize(
    ("claim", "total", "signal", "holds"),
    [
        (TRANSFORMER_STREAM, SUM.lowest, 1.0, True),
        (TRANSFORMER_STREAM, SUM.highest, 1.0, True),
        (TRANSFORMER_STREAM, SUM.highest * 10, 1.0, False),
        (TRANSFORMER_STREAM, SUM.lowest / 10, 1.0, False),
        (TRANSFORMER_LAST_GRADIENT, 1.0, GRADIENT.lowest, True),
        (TRANSFORMER_LAST_GRADIENT, 1.0, GRADIENT.highest, True),
        (TRANSFORMER_LAST_GRADIENT, 1.0, GRADIENT.highest * 20, False),
        (TRANSFORMER_LAST_GRADIENT, 1.0, GRADIENT.lowest / 20, False),
    ],
)
def test_claims_hold_within_the_range(
    claim: Claim, total: float, signal: float, *, holds: bool
) -> None:
    found = claim.of(CELL, records(total, signal))
    assert found is not None
    assert found.holds is holds
    assert "of 2 seeds" in found.evidence


def test_nothing_is_said_of_other_images_or_without_fingerprints() -> None:
    for claim in (TRANSFORMER_STREAM, TRANSFORMER_LAST_GRADIENT):
        assert claim.of(CELL, records(1.0, 1.0, data="others")) is None
        bare = [msgspec.structs.replace(r, tensors=None) for r in records(1.0, 1.0)]
        assert claim.of(CELL, bare) is None
        assert claim.of(Cell(), [trained(Cell(), 0)]) is None


def test_the_gradient_of_another_loss_is_not_spoken_of() -> None:
    cell = msgspec.structs.replace(CELL, loss="mse")
    assert TRANSFORMER_STREAM.applies(cell)
    assert not TRANSFORMER_LAST_GRADIENT.applies(cell)
