"""TensorFlow's side of the optimizer and clipping checks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bench.nets import updates
from bench.nets.keras_version import keras_generation, keras_version


def test_the_version_is_that_of_tf_keras() -> None:
    """Keras 2 until TensorFlow 2.15, Keras 3 since."""
    major, version = keras_generation(), keras_version()
    assert version.startswith(f"{major}.")
    minor = int(tf.__version__.split(".")[1])
    assert major == (2 if minor < 16 else 3)


@pytest.mark.parametrize("graph", [False, True])
def test_steps_are_seen_where_asked(graph) -> None:
    """SGD with momentum .5 and rate 1 from 0, gradients 1: velocities -1, -1.5, -1.75."""
    ones = [np.ones((2, 1), np.float32), np.ones(3, np.float32)]
    first, third = updates.run(
        "sgd",
        {"learning_rate": 1.0, "momentum": 0.5},
        [np.zeros_like(one) for one in ones],
        [ones] * 3,
        [("momentum",), ("momentum",)],
        seen=(1, 3),
        graph=graph,
    )
    assert (first.step, third.step) == (1, 3)
    for at, one in enumerate(ones):
        assert np.array_equal(first.variables[at], -one)
        assert np.array_equal(first.slots[at]["momentum"], -one)
        assert np.array_equal(third.variables[at], -4.25 * one)
        assert np.array_equal(third.slots[at]["momentum"], -1.75 * one)


def test_every_optimizer_has_its_slots() -> None:
    """All slots of all optimizers that are here are found, of the variable's shape or its factors'."""
    switches = {"rmsprop": {"centered": True, "momentum": 0.5}, "adam": {"amsgrad": True}}
    here = [name for name in updates.SLOTS if updates.has(name)]
    assert {"sgd", "adam", "adafactor"} <= set(here)
    for name in here:
        given = {
            "learning_rate": 0.1,
            **switches.get(name, {"momentum": 0.5} if name == "sgd" else {}),
        }
        value = np.ones((2, 3), np.float32)
        (end,) = updates.run(
            name, given, [value], [[value]], [tuple(updates.SLOTS[name])], seen=(1,), graph=False
        )
        shapes = {"row": (2,), "column": (3,)}
        for slot, array in end.slots[0].items():
            assert array.shape == shapes.get(slot, (2, 3))
            assert np.any(array)


def test_a_slot_that_moved_is_named() -> None:
    """With the Keras version, and where to write its new name."""
    value = np.ones(2, np.float32)
    with pytest.raises(LookupError, match=r"keeps no _velocity_hats in its Adam.*SLOTS"):
        updates.run("adam", {}, [value], [[value]], [("velocity_hat",)], seen=(1,), graph=False)


def test_defaults_are_read() -> None:
    """Of an optimizer that was given nothing."""
    assert updates.defaults("sgd")["learning_rate"] == pytest.approx(0.01)


@pytest.mark.parametrize("graph", [False, True])
def test_clipping_by_operation_and_by_optimizer(graph) -> None:
    """(3, 4) and (0): by value at 2 (2, 2); by norm at 2.5 (1.5, 2), by global norm the same."""
    gradients = [np.array([3.0, 4.0], np.float32), np.array([0.0], np.float32)]
    by_value = updates.clip("value", gradients, 2.0, graph=graph)
    assert [array.tolist() for array in by_value] == [[2.0, 2.0], [0.0]]
    for rule, argument in (("norm", "clipnorm"), ("global_norm", "global_clipnorm")):
        one = updates.clip(rule, gradients, 2.5, graph=graph)
        other = updates.optimizer_clip(argument, gradients, 2.5, graph=graph)
        for clipped in (one, other):
            assert clipped[0] == pytest.approx([1.5, 2.0], rel=1e-6)
            assert clipped[1].tolist() == [0.0]
