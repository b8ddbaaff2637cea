"""Contracts of saving: what is left out of a file is found, in weights and in optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.checks.contracts import saving
from bench.nets import composed
from bench.nets.api import keras
from tests.checks.contracts.judging import sound
from tests.checks.contracts.test_catalogue import outcome_of


def test_sums_of_quarters_are_exact() -> None:
    """Whichever way they are added up, float32 gives what float64 gives."""
    model, inputs = composed.filled(composed.build("functional")), composed.given()
    weights = {layer.name: layer.get_weights() for layer in model.layers}

    def dense(name: str, x: Any) -> Any:
        kernel, bias = weights[name]
        return x.astype(np.float64) @ kernel + bias

    relu = lambda x: np.maximum(x, 0.0)  # noqa: E731
    once = relu(dense("shared", inputs))
    both = dense("part", once) + dense("chain", relu(dense("shared", once)))
    assert np.array_equal(np.asarray(model(inputs)), dense("head", both))


@pytest.mark.parametrize("name", ["weights", "keras"])
def test_a_layer_that_is_left_out_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As layers in nested lists are by Keras 3.14 (keras #20598)."""
    subject = f"nested-format:{name}"
    if subject not in sound(saving):
        pytest.skip("this version leaves layers out itself")
    assert not outcome_of("saving", subject).fails
    load = keras.layers.Dense.load_own_variables

    def skip(self: Any, store: Any) -> None:
        if self.name not in ("before", "after"):
            return
        load(self, store)

    monkeypatch.setattr(keras.layers.Dense, "load_own_variables", skip)
    found = outcome_of("saving", subject)
    assert [each.tensor for each in found.deviations] == ["weights", "outputs"]


def test_an_optimizer_that_starts_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state is not read back."""
    subject = "compiled:adam-format:keras"
    assert not outcome_of("saving", subject).fails
    monkeypatch.setattr(keras.optimizers.Adam, "load_own_variables", lambda *_: None)
    assert "optimizer variable" in outcome_of("saving", subject).deviations[0].tensor


def test_weights_of_another_shape_that_are_taken_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is raised."""
    assert not outcome_of("saving", "shape-refused").fails
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: None)
    assert outcome_of("saving", "shape-refused").fails
