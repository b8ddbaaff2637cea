"""Contracts of growth: counts by hand, and leaks that are planted and found."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from bench.checks.contracts import growth
from bench.checks.contracts.memory import allowed, counting, repeated
from bench.checks.contracts.memory import growth as grown
from tests.checks.contracts.judging import sound
from tests.checks.contracts.test_catalogue import outcome_of

MIB = 2**20
FEW = 3


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((3, 3, 3, 3), 0.0),
        ((0, 2, 4, 6), 2.0),
        ((0, 0, 0, 900), 0.0),  # once
        ((0, 900, 0, 900, 0), 0.0),  # comes and goes
        ((9, 6, 3, 0), 0.0),  # falls
        ((0, 5, 6, 7, 8, 9), 1.0),
    ],
)
def test_growth_by_hand(counts: tuple[int, ...], expected: float) -> None:
    """The smaller of the median and the mean of the steps, never below 0."""
    assert grown(counts) == expected


def test_what_is_allowed_is_far_below_a_mebibyte() -> None:
    """Sixty-four sizes of 24 to 1,032 bytes, seven blocks of each, two threads, eight repetitions."""
    assert allowed(8) == 2 * 7 * 64 * 528 / 8 == 59_136
    assert allowed(FEW) < MIB / 6


def test_what_is_kept_is_counted_and_what_is_dropped_is_not() -> None:
    """Arrays of a MiB, in a list or in none."""
    kept: list[Any] = []
    for step, expected in ((lambda: kept.append(np.ones(MIB // 8)), MIB), (lambda: np.ones(9), 0)):
        found = grown([each.allocated for each in repeated(step)])
        assert found == pytest.approx(expected, abs=allowed())


@pytest.mark.parametrize("aside", [False, True])
def test_older_objects_are_set_aside_and_come_back(*, aside: bool) -> None:
    """Counting freezes what there is, and thaws it whatever happens, unless modules had been frozen."""
    older: list[Any] = [[]]

    def frozen() -> bool:
        return not any(one is older for one in gc.get_objects())

    gc.unfreeze()
    try:
        if aside:
            gc.freeze()
        with counting():
            assert frozen()
        with pytest.raises(ZeroDivisionError):
            repeated(lambda: 1 / 0)
        assert frozen() is aside
    finally:
        gc.freeze()


# --- With TensorFlow


def _planted(monkeypatch: pytest.MonkeyPatch, method: str, fault: Any) -> None:
    """Plants what a method does at each call, which three repetitions show as well as the contract's
    eight: it is more than :func:`allowed` grants each of three."""
    from bench.nets.api import keras

    monkeypatch.setattr(growth, "REPETITIONS", FEW)
    monkeypatch.setattr(
        growth, "repeated", lambda step, times=FEW, **options: repeated(step, times, **options)
    )

    sound = getattr(keras.Model, method)

    def wrong(self: Any, *arguments: Any, **options: Any) -> Any:
        fault(self)
        return sound(self, *arguments, **options)

    monkeypatch.setattr(keras.Model, method, wrong)


@pytest.mark.parametrize("subject", ["evaluate", "call"])
def test_a_leak_of_a_mebibyte_is_found(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that no object of TensorFlow owns; without it the contract holds. The other methods have
    their leaks in the table of planted faults."""
    if subject not in sound(growth):
        pytest.skip("this version has a leak of its own")
    assert not outcome_of("growth", subject).fails
    kept: list[Any] = []
    method = "__call__" if subject == "call" else subject
    _planted(monkeypatch, method, lambda _: kept.append(np.ones(MIB // 8)))
    found = outcome_of("growth", subject)
    assert [each.tensor for each in found.deviations] == ["bytes held"]


def test_one_tensor_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bytes, and their object."""
    from bench.nets.api import tf

    kept: list[Any] = []
    _planted(monkeypatch, "predict", lambda _: kept.append(tf.constant(1.0)))
    found = outcome_of("growth", "predict")
    assert found.deviations[0].evidence == "1 more each time, expected none"


def test_tracing_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is made anew by each call, as if the model had been compiled again."""
    _planted(monkeypatch, "predict", lambda model: setattr(model, "predict_function", None))
    assert outcome_of("growth", "predict").deviations[0].tensor == "traces"


def test_a_layer_that_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A global list of layers."""
    kept: list[Any] = []
    assert not outcome_of("growth", "models-trained").fails
    _planted(monkeypatch, "compile", lambda model: kept.append(model.layers))
    for subject, tensor in (("models-built", "objects held"), ("models-trained", "parts held")):
        assert outcome_of("growth", subject).deviations[0].tensor == tensor
