"""The oracle's optimizers: one step of each by hand, identities, and bounds that float32 keeps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.theory.oracle.choices import either
from bench.theory.oracle.optimizers import DEFAULTS, RULES, SHARED, for_cell, optimizer
from bench.theory.rounding.arrays import Bounded, Stochastic

ROOT = math.sqrt


def moved(name: str, w: Any, gradients: list[Any], **constants: Any) -> Any:
    """A variable after one step per gradient, and its slots."""
    made = optimizer(name, **constants)
    values = [np.asarray(w, np.float64)]
    state = made.start(values)
    for gradient in gradients:
        values, state = made.step(values, [np.asarray(gradient, np.float64)], state)
    return values[0], state.slots[0]


#: Optimizer, constants, one variable of 1, gradients, the variable after them.
WORKED = [
    ("sgd", {"learning_rate": 0.5}, [2.0], 1 - 0.5 * 2),
    # velocity -1, then .9 * -1 - .5 * 2 = -1.9
    ("sgd", {"learning_rate": 0.5, "momentum": 0.9}, [2.0, 2.0], 1 - 1 - 1.9),
    # step .9 velocity - lr g: -1.9, then .9 * -1.9 - 1
    (
        "sgd",
        {"learning_rate": 0.5, "momentum": 0.9, "nesterov": True},
        [2.0, 2.0],
        1 - 1.9 - (0.9 * 1.9 + 1),
    ),
    # m = .25 * 4 = 1, v = .0625 * 16 = 1; rate = sqrt(.0625) / .25 = 1; 1 / (1 + 1)
    (
        "adam",
        {"learning_rate": 1.0, "beta_1": 0.75, "beta_2": 0.9375, "epsilon": 1.0},
        [4.0],
        1 - 0.5,
    ),
    # second gradient 0: m = .75, v = .9375, but its largest so far is 1: .75 / (1 + 1)
    (
        "adam",
        {"learning_rate": 1.0, "beta_1": 0.75, "beta_2": 0.9375, "epsilon": 1.0, "amsgrad": True},
        [4.0, 0.0],
        1 - 0.5 - ROOT(1 - 0.9375**2) / (1 - 0.75**2) * 0.75 / 2,
    ),
    # decayed first: 1 - .1 * .5, then the step above times .5
    (
        "adamw",
        {
            "learning_rate": 0.5,
            "beta_1": 0.75,
            "beta_2": 0.9375,
            "epsilon": 1.0,
            "weight_decay": 0.1,
        },
        [4.0],
        (1 - 0.05) - 0.25,
    ),
    # m = .25 * 4 = 1, u = 4: 1 / (1 - .75) / (4 + 1)
    ("adamax", {"learning_rate": 1.0, "beta_1": 0.75, "epsilon": 1.0}, [4.0], 1 - 4 / 5),
    # mu_1 = .5 (1 - .48) = .26, mu_2 = .5 (1 - .5 * .9216) = .2696; m = 2, v_hat = 16:
    # .2696 * 2 / (1 - .26 * .2696) + .74 * 4 / .74, over 4 + 1
    (
        "nadam",
        {"learning_rate": 1.0, "beta_1": 0.5, "epsilon": 1.0},
        [4.0],
        1 - (0.2696 * 2 / (1 - 0.26 * 0.2696) + 4) / 5,
    ),
    # v = .25 * 16 = 4
    ("rmsprop", {"learning_rate": 1.0, "rho": 0.75, "epsilon": 5.0}, [4.0], 1 - 4 / ROOT(4 + 5)),
    # mean = 1: 4 - 1
    (
        "rmsprop",
        {"learning_rate": 1.0, "rho": 0.75, "epsilon": 1.0, "centered": True},
        [4.0],
        1 - 4 / ROOT(4 - 1 + 1),
    ),
    # second v = .75 * 4 + 4 = 7: a = .5 * 4/3 + 4 / sqrt(12)
    (
        "rmsprop",
        {"learning_rate": 1.0, "rho": 0.75, "epsilon": 5.0, "momentum": 0.5},
        [4.0, 4.0],
        1 - 4 / 3 - (0.5 * 4 / 3 + 4 / ROOT(12)),
    ),
    (
        "adagrad",
        {"learning_rate": 1.0, "initial_accumulator_value": 2.0, "epsilon": 3.0},
        [2.0],
        1 - 2 / ROOT(2 + 4 + 3),
    ),
    # E[g^2] = .25 * 16 = 4: d = sqrt(5) 4 / sqrt(9)
    ("adadelta", {"learning_rate": 0.5, "rho": 0.75, "epsilon": 5.0}, [4.0], 1 - 2 * ROOT(5) / 3),
    # n from 1 to 4, sigma = (2 - 1) / .5 = 2, z = sqrt(3) + 2 * .25 - 2;
    # (.1 - |z|) of z's sign, over (.3 + 2) / .5 + 2 * .2
    (
        "ftrl",
        {
            "learning_rate": 0.5,
            "initial_accumulator_value": 1.0,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.25,
            "beta": 0.3,
        },
        [ROOT(3)],
        -(ROOT(3) + 0.5 - 2 - 0.1) / (2.3 / 0.5 + 0.4),
    ),
    ("lion", {"learning_rate": 0.25, "beta_1": 0.5}, [-3.0], 1 + 0.25),
    # m = .25 * -3 = -.75, so .5 * -.75 + .5 * 1 > 0 turns it back
    ("lion", {"learning_rate": 0.25, "beta_1": 0.5, "beta_2": 0.75}, [-3.0, 1.0], 1 + 0.25 - 0.25),
    # r = 4 / (4 + 1); norm(w) / norm(r) = 1 / .8: the step is 1 lr
    ("lamb", {"learning_rate": 0.25, "epsilon": 1.0}, [4.0], 1 - 0.25),
    # beta2 = 0 at the first step: v = 7 + 9, u = 3/4 over .75 / .5 = 1.5; RMS(w) = 1
    (
        "adafactor",
        {"learning_rate": 0.25, "epsilon_1": 7.0, "clip_threshold": 0.5},
        [3.0],
        1 - 0.25 * 0.75 / 1.5,
    ),
]


@pytest.mark.parametrize(("name", "constants", "gradients", "expected"), WORKED)
def test_steps_by_hand(name, constants, gradients, expected) -> None:
    """Each optimizer does what its formula says; a few roundings of float64 apart."""
    value, _ = moved(name, [1.0], [[gradient] for gradient in gradients], **constants)
    assert value[0] == pytest.approx(expected, rel=1e-13)


def test_every_optimizer_was_worked_by_hand() -> None:
    """None is forgotten above."""
    assert {name for name, *_ in WORKED} == set(RULES)


def test_lamb_trusts_a_variable_of_zeros() -> None:
    """The ratio of norms is 1 there, or it would never move: r = 4 / (4 + 1), rate .25."""
    value, _ = moved("lamb", [0.0], [[4.0]], learning_rate=0.25, epsilon=1.0)
    assert value[0] == pytest.approx(-0.2, rel=1e-13)


def test_adafactor_factors_a_matrix() -> None:
    """g^2 = rows (1, 4) times columns (1, 9): V is g^2 exactly, so that U is the sign of g."""
    g = np.array([[1.0, -3.0], [2.0, 6.0]])
    value, slots = moved("adafactor", np.full((2, 2), 2.0), [g], learning_rate=0.5, epsilon_1=1e-30)
    assert slots["row"] == pytest.approx([5.0, 20.0])
    assert slots["column"] == pytest.approx([2.5, 22.5])
    assert slots["velocity"] == pytest.approx(np.square(g))
    assert value == pytest.approx(2.0 - 2.0 * 0.5 * np.sign(g))


def test_adafactor_is_relative_only_where_told() -> None:
    """At step 4 the rate is at most 1 / sqrt(4); without relative_step it is what was given."""
    gradients = [[1.0], [1.0], [1.0], [1.0]]
    three, _ = moved("adafactor", [1.0], gradients[:3], learning_rate=0.9, relative_step=False)
    four, _ = moved("adafactor", [1.0], gradients, learning_rate=0.9, relative_step=False)
    assert three[0] - four[0] == pytest.approx(0.9 * max(1e-3, abs(three[0])))
    three, _ = moved("adafactor", [1.0], gradients[:3], learning_rate=0.9)
    four, _ = moved("adafactor", [1.0], gradients, learning_rate=0.9)
    assert three[0] - four[0] == pytest.approx(0.5 * max(1e-3, abs(three[0])))


def test_adam_first_moves_by_the_learning_rate() -> None:
    """As epsilon goes to 0 the first step is lr sign(g), whatever the size of g."""
    g = np.array([1e-3, -1.0, 50.0])
    value, _ = moved("adam", np.zeros(3), [g], learning_rate=0.01, epsilon=1e-30)
    assert value == pytest.approx(-0.01 * np.sign(g), rel=1e-12)


def test_lion_moves_by_the_learning_rate() -> None:
    """Every entry whose gradients are not 0, at every step, by exactly lr or its negative."""
    random = np.random.default_rng(0)
    made = optimizer("lion", learning_rate=0.125)
    values = [np.zeros(20)]
    state = made.start(values)
    for _ in range(5):
        before = values[0]
        values, state = made.step(values, [random.normal(size=20)], state)
        assert np.all(np.abs(values[0] - before) == 0.125)


def test_adam_without_momentum_is_rmsprop_but_for_the_corrections() -> None:
    """With beta1 = 0 and epsilon 0, lr sqrt(1 - beta2^t) times RMSprop's step."""
    g = np.array([2.0, -0.1])
    adam, _ = moved("adam", np.zeros(2), [g], beta_1=0.0, beta_2=0.9, epsilon=0.0)
    rmsprop, _ = moved("rmsprop", np.zeros(2), [g], rho=0.9, epsilon=0.0)
    assert adam == pytest.approx(rmsprop * ROOT(1 - 0.9), rel=1e-14)


def test_centred_variance_is_not_negative() -> None:
    """It is a weighted mean of g^2 less the square of the same weighted mean of g (Jensen), whose
    weights need the missing one of 0."""
    random = np.random.default_rng(1)
    gradients = random.normal(3.0, 1.0, size=(30, 8))
    _, slots = moved("rmsprop", np.zeros(8), list(gradients), centered=True)
    assert np.all(slots["velocity"] - np.square(slots["average_gradient"]) > 0)


def test_sgd_on_a_quadratic() -> None:
    """w_t = w_0 (1 - lr a)^t for the loss a w^2 / 2."""
    made = optimizer("sgd", learning_rate=0.1)
    values = [np.array([3.0])]
    state = made.start(values)
    for _ in range(20):
        values, state = made.step(values, [2.0 * values[0]], state)
    assert state.steps == 20
    assert values[0][0] == pytest.approx(3.0 * 0.8**20, rel=1e-13)


def test_momentum_on_a_constant_slope_approaches_its_terminal_speed() -> None:
    """Velocity after t steps: -lr g (1 - momentum^t) / (1 - momentum)."""
    _, slots = moved("sgd", [0.0], [[1.0]] * 7, learning_rate=0.1, momentum=0.5)
    assert slots["momentum"][0] == pytest.approx(-0.1 * (1 - 0.5**7) / 0.5, rel=1e-14)


def test_averages_start_where_each_keras_starts_them() -> None:
    """w goes 1, 0, -1. Keras 2: .5 * 1 + .5 * 0 = .5, then -.25; Keras 3: 0, then -.5."""
    for keras, expected in ((2, -0.25), (3, -0.5)):
        _, slots = moved(
            "sgd",
            [1.0],
            [[1.0], [1.0]],
            keras=keras,
            learning_rate=1.0,
            use_ema=True,
            ema_momentum=0.5,
        )
        assert slots["ema"][0] == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("clipvalue", [-1.0, -1.0]), ("clipnorm", [-0.6, -0.8]), ("global_clipnorm", [-0.6, -0.8])],
)
def test_gradients_are_clipped_first(argument, expected) -> None:
    """(3, 4) clipped at 1: (1, 1) by value, (.6, .8) by norm."""
    value, _ = moved("sgd", [0.0, 0.0], [[3.0, 4.0]], learning_rate=1.0, **{argument: 1.0})
    assert value == pytest.approx(expected)


def test_cells_have_their_optimizers() -> None:
    """Rate, momentum and clipping of a cell; Adam has Keras' defaults."""
    clipped = for_cell(Cell(optimizer="momentum", clipping="norm_0.5", learning_rate=0.2))
    assert clipped.name == "sgd"
    assert {key: clipped.constants[key] for key in ("learning_rate", "momentum", "clipnorm")} == {
        "learning_rate": 0.2,
        "momentum": 0.9,
        "clipnorm": 0.5,
    }
    assert clipped.constants["clipvalue"] is None
    assert for_cell(Cell()).constants["momentum"] == 0.0
    adam = for_cell(Cell(optimizer="adam", learning_rate=0.001))
    assert adam.constants == {**SHARED, **DEFAULTS[3]["adam"]}


def test_what_is_unknown_is_refused() -> None:
    """The messages list what there is."""
    with pytest.raises(ValueError, match="Keras 2 has no optimizer lamb; it has sgd, adam"):
        optimizer("lamb", keras=2)
    with pytest.raises(ValueError, match="sgd takes no beta_1; it takes weight_decay"):
        optimizer("sgd", beta_1=0.9)


@pytest.mark.parametrize("name", RULES)
def test_all_arithmetics_agree(name) -> None:
    """Bounded values are the float64 ones, and random rounding of float32 stays within the bound
    over ten steps."""
    random = np.random.default_rng(2)
    start = random.normal(size=(4, 3))
    gradients = random.normal(size=(10, 4, 3))
    made = optimizer(name, learning_rate=0.05)
    ends = []
    for kind in (np.asarray, Bounded, lambda x: Stochastic(x, random)):
        values: Any = [kind(start)]
        state = made.start(values)
        for gradient in gradients:
            values, state = made.step(values, [kind(gradient)], state)
        ends.append(values[0])
    plain, bounded, drawn = ends
    # Values of bounded arrays are float64: the same operations, in perhaps another order.
    assert bounded.value == pytest.approx(plain, rel=1e-13)
    assert np.all(np.abs(drawn.value - plain) <= bounded.error)
    assert np.all(bounded.error < 1e-3)


@pytest.mark.parametrize(
    "name", ["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta"]
)
def test_complex_steps_differentiate(name) -> None:
    """A derivative through three steps by complex step equals a central difference, whose truncation
    is of order h^2 = 1e-10 and whose rounding is of order 1e-16 / h = 1e-11. (Absolute values, signs
    and limits of the other optimizers have no complex derivative.)"""
    g = np.array([0.7, -0.3])
    made = optimizer(name, learning_rate=0.05, **({} if name == "sgd" else {"epsilon": 0.1}))

    def end(first: Any) -> Any:
        values: Any = [np.zeros(2, first.dtype)]
        state = made.start(values)
        for gradient in (first, 0.5 * g, -g):
            values, state = made.step(values, [gradient], state)
        return values[0]

    derivative = np.imag(end(g + 1e-30j)) / 1e-30
    h = 1e-5
    assert derivative == pytest.approx((end(g + h) - end(g - h)) / (2 * h), rel=1e-6, abs=1e-9)


def test_choices_admit_what_rounding_may_choose() -> None:
    """Near a tie the larger error counts; near 0 a sign may be the other one."""
    left, right = Bounded([1.0, 3.0], [0.5, 0.5]), Bounded([1.2, 1.0], [0.1, 0.1])
    larger = np.maximum(left, right)
    assert larger.value.tolist() == [1.2, 3.0]
    assert larger.error.tolist() == [0.5, 0.5]
    # 1 +- .1, or the same as 1.3 +- .2: the bound around 1 reaches to 1.5.
    assert either(Bounded(1.0, 0.1), Bounded(1.3, 0.2)).error == pytest.approx(0.5)
    signs = np.sign(Bounded([0.1, -2.0, 0.0], [0.2, 0.2, 1e-38]))
    assert signs.value.tolist() == [1.0, -1.0, 0.0]
    assert signs.error.tolist() == [2.0, 0.0, 0.0]
