"""Mean-field predictions: published values, closed forms, and random networks in NumPy."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import mnist
from bench.cells.cell import ACTIVATIONS, Cell
from bench.cells.grids import GRIDS
from bench.errors import BenchError
from bench.theory.signal import images
from bench.theory.signal.meanfield import Prediction, not_followed, predict, why_not
from bench.theory.signal.moments import second_moment, slope_moment
from bench.theory.signal.normalized import batch_norm_ratio
from support.random_networks import signals

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]


def predicted(cell: Cell) -> Prediction:
    prediction = predict(cell)
    assert prediction is not None
    return prediction


# --- Published values ---------------------------------------------------------------------------

#: chi per layer behind batch normalization, infinite batch, and behind layer normalization.
NORMALIZED = {
    "relu": (1.4669, 1.0000),
    "leaky_relu": (1.1670, 1.0000),
    "elu": (1.0790, 1.0359),
    "selu": (1.0716, 1.0716),
    "tanh": (1.1778, 1.1778),
    "sigmoid": (1.0336, 0.1528),
    "softplus": (1.0805, 0.3185),
    "gelu": (1.3188, 1.0720),
    "silu": (1.2121, 1.0666),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_normalized_ratios(activation: str) -> None:
    """Batch normalization D / Var[phi], layer normalization D / F at q = 1, to four digits."""
    batch, layer = NORMALIZED[activation]
    assert round(batch_norm_ratio(activation), 4) == batch
    ratio = slope_moment(activation, 1.0) / second_moment(activation, 1.0)
    assert round(ratio, 4) == layer
    # The layer's epsilon, .001 of a variance sigma_w^2 F = 2e4, leaves four digits as they are.
    cell = Cell(activation=activation, initializer="normal_14.0", normalization="layer", depth=30)
    assert predicted(cell).chi_fixed == pytest.approx(ratio, rel=1e-5)


@pytest.mark.parametrize(
    ("batch", "ratio"), [(32, 1.522), (64, 1.493), (100, 1.483), (200, 1.475), (1000, 1.4685)]
)
def test_batch_norm_ratio_of_a_finite_batch(batch: int, ratio: float) -> None:
    """ReLU, as published: the fixed point's closed form; pi / (pi - 1) for an infinite batch."""
    assert batch_norm_ratio("relu", batch) == pytest.approx(ratio, abs=5e-4)
    assert batch_norm_ratio("relu") == pytest.approx(math.pi / (math.pi - 1), rel=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_batch_norm_ratio_tends_to_that_of_an_infinite_batch(activation: str) -> None:
    """As 1/B: from a batch of 1000 to one of 10,000 the difference shrinks tenfold."""
    infinite = batch_norm_ratio(activation)
    near, nearer = (batch_norm_ratio(activation, size) - infinite for size in (1000, 10_000))
    assert nearer == pytest.approx(near / 10, rel=0.05)


def test_batch_norm_of_a_tiny_batch_is_refused() -> None:
    """Below 6 examples a moment of the fixed point does not exist."""
    with pytest.raises(ValueError, match="from 6 examples on"):
        batch_norm_ratio("relu", 5)


@pytest.mark.parametrize(
    ("cell", "chi"),
    [
        (Cell(depth=10), 1.0),  # 2 x 1/2
        (Cell(depth=10, initializer="glorot_normal"), 0.5),
        (Cell(depth=10, initializer="orthogonal"), 0.5),
        (Cell(depth=10, initializer="normal_0.47"), 100 * 0.47**2 / 2),  # 11.045
        (Cell(depth=10, initializer="truncated_normal_0.1"), 0.77374 / 2),
        (Cell(depth=10, initializer="uniform_0.1"), 1 / 6),
        (Cell(depth=10, activation="leaky_relu"), 1.09),
        (Cell(depth=10, width=50, initializer="normal_0.1"), 0.25),
    ],
    ids=lambda value: value.id() if isinstance(value, Cell) else f"{value:.4g}",
)
def test_straight_activations_change_every_layer_alike(cell: Cell, chi: float) -> None:
    """sigma_w^2 (1 + a^2) / 2 (He et al. 2015, eq. 14)."""
    prediction = predicted(cell)
    assert prediction.chi == pytest.approx([chi] * 9, rel=1e-5)
    assert prediction.signal_ratio == pytest.approx(chi**9, rel=1e-4)
    assert prediction.chi_fixed == pytest.approx(chi, rel=1e-5)


def test_kernel_gradients_are_blind_to_a_vanishing_signal() -> None:
    """Glorot and Bengio 2010, eqs 13-14: at sigma_w^2 = 1 a ReLU layer halves the signal while the
    activations double its kernel's share: the variance of kernel gradients is the same in all
    layers between the first and the output."""
    prediction = predicted(Cell(depth=8, initializer="glorot_normal"))
    assert prediction.signal[1] == pytest.approx(0.5**6)
    assert prediction.kernel_gradient[1:] == pytest.approx([1.0] * 7)


# --- Fixed points and phases --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "phase"),
    [
        (Cell(), "critical"),
        (Cell(initializer="glorot_normal"), "ordered"),
        (Cell(initializer="normal_0.47"), "chaotic"),
        (Cell(activation="tanh", initializer="glorot_normal"), "critical"),
        (Cell(activation="tanh", initializer="normal_0.09"), "ordered"),
        (Cell(activation="tanh"), "chaotic"),
        (Cell(activation="sigmoid"), "ordered"),
        (Cell(normalization="batch"), "chaotic"),
        (Cell(normalization="layer"), "critical"),
        (Cell(activation="sigmoid", normalization="layer"), "ordered"),
        (Cell(architecture="residual"), "chaotic"),
        (Cell(architecture="residual", activation="tanh"), "critical"),
        (Cell(architecture="residual", normalization="batch"), "critical"),
    ],
    ids=lambda value: value.id() if isinstance(value, Cell) else value,
)
def test_phase(cell: Cell, phase: str) -> None:
    """Poole et al. 2016, figure 1, for tanh; Hayou et al. 2019 for ReLU; Yang et al. 2019 for batch
    normalization; behind skips Yang and Schoenholz 2017."""
    assert predicted(cell).phase == phase


@given(
    st.sampled_from(ACTIVATIONS),
    st.sampled_from(["he_normal", "glorot_normal", "normal_0.3", "normal_0.05"]),
    st.sampled_from([0.0, 0.1]),
)
def test_a_fixed_point_is_fixed(activation: str, initializer: str, bias: float) -> None:
    """q* = sigma_w^2 F(q*), or none between 0 and infinity: then q shrinks or grows all the way."""
    cell = Cell(activation=activation, initializer=initializer, bias=bias)
    gain = {"he_normal": 2.0, "glorot_normal": 1.0, "normal_0.3": 9.0, "normal_0.05": 0.25}[
        initializer
    ]
    q = predicted(cell).fixed_point
    if 0 < q < math.inf:
        assert gain * second_moment(activation, q, bias) == pytest.approx(q, rel=1e-6)
    else:
        far = 1e-10 if q == 0 else 1e10
        grown = gain * second_moment(activation, far, bias)
        assert grown < far * (1 + 1e-9) if q == 0 else grown > far * (1 - 1e-9)


def test_deep_layers_arrive_at_the_fixed_point() -> None:
    """Tanh with He's weights: q* = .618, chi = 1.1055."""
    prediction = predicted(Cell(depth=50, activation="tanh"))
    assert prediction.pre_activation[-1] == pytest.approx(prediction.fixed_point, rel=1e-3)
    assert prediction.chi[-1] == pytest.approx(prediction.chi_fixed, rel=1e-3)


# --- The interface ------------------------------------------------------------------------------


def test_every_cell_of_the_grids_has_a_prediction_or_a_reason() -> None:
    """Lengths as documented; the last layer is the unit; nothing is NaN but 0/0."""
    cells = {cell for grid in GRIDS.values() for cell in grid.cells("quick").values()}
    assert cells
    cells.add(Cell(architecture="cnn"))
    for cell in cells:
        prediction = predict(cell)
        assert (prediction is None) is bool(why_not(cell))
        if prediction is None:
            continue
        layers = cell.depth
        of_layers = (
            prediction.pre_activation,
            prediction.activation,
            prediction.signal,
            prediction.kernel_gradient,
            prediction.log_bias,
            prediction.log_std,
            prediction.log_error,
        )
        between = (prediction.chi, prediction.step_bias, prediction.step_std, prediction.step_error)
        assert {len(values) for values in of_layers} == {layers}
        assert {len(values) for values in between} == {max(layers - 1, 0)}
        if cell.initializer == "zeros":
            assert prediction.signal_ratio is None
        elif layers:
            assert prediction.signal[-1] == prediction.kernel_gradient[-1] == 1.0
            assert prediction.log_std[-1] == prediction.log_bias[-1] == 0.0
            assert not np.isnan(of_layers).any()
            chi = np.array(prediction.signal[:-1]) / prediction.signal[1:]
            assert prediction.chi == pytest.approx(list(chi))


def test_what_has_no_prediction_says_why() -> None:
    """Max pooling, dropout, and batch norm of a few examples."""
    for cell, why in (
        (Cell(architecture="cnn"), "max pooling"),
        (Cell(dropout=0.5), "dropout"),
        (Cell(normalization="batch", batch=5), "6 examples"),
        (Cell(), ""),
    ):
        assert why in why_not(cell)
        assert (predict(cell) is None) is bool(why)


def test_softmax_regression_has_no_layers() -> None:
    """Depth 0: empty tuples and no ratio; depth 1: a ratio of 1."""
    assert predicted(Cell(depth=0)).signal_ratio is None
    assert predicted(Cell(depth=1)).signal_ratio == 1.0


def test_what_training_does_later_changes_no_prediction() -> None:
    """Optimizer, clipping, steps and engine act after step 0."""
    cell = Cell(depth=5, activation="tanh")
    other = msgspec.structs.replace(
        cell, optimizer="adam", learning_rate=1e-3, steps=5, clipping="norm_1.0", engine="eager"
    )
    assert predict(cell) is predict(other)


@given(st.sampled_from(ACTIVATIONS), st.floats(0.3, 3.0))
def test_only_lengths_of_images_matter(activation: str, scale: float) -> None:
    """Scaling inputs by s is scaling |x|^2 by s^2."""
    cell = Cell(activation=activation, depth=3)
    scaled = predict(msgspec.structs.replace(cell, input_scale=scale), squared_norms=[50.0, 150.0])
    longer = predict(cell, squared_norms=[50.0 * scale**2, 150.0 * scale**2])
    assert scaled is not None
    assert longer is not None
    assert scaled.signal == pytest.approx(longer.signal, rel=1e-6)


# --- Against random networks --------------------------------------------------------------------

WIDE = [
    *(Cell(depth=4, width=400, batch=32, activation=name) for name in ACTIVATIONS),
    *(
        Cell(depth=4, width=400, batch=32, activation=name, bias=0.3, initializer="glorot_normal")
        for name in ("relu", "tanh", "elu", "softplus")
    ),
    *(
        Cell(depth=4, width=400, batch=64, activation=name, normalization=kind)
        for name in ("relu", "tanh", "sigmoid", "gelu")
        for kind in ("batch", "layer")
    ),
    *(
        Cell(depth=6, width=400, batch=32, activation=name, architecture="residual", branch=branch)
        for name in ("relu", "leaky_relu", "tanh", "sigmoid")
        for branch in ("plain", "scaled")
    ),
    Cell(depth=4, width=400, batch=32, activation="relu", initializer="orthogonal"),
    Cell(depth=4, width=400, batch=32, activation="tanh", initializer="normal_0.5"),
]


@pytest.mark.parametrize("cell", WIDE, ids=Cell.id)
def test_wide_networks_do_as_predicted(cell: Cell) -> None:
    """Mean of five networks of width 400: every layer within five standard errors and what the
    theory says it leaves out."""
    seeds = 5
    logs = np.log([signals(cell, seed) for seed in range(seeds)])
    measured = (logs - logs[:, -1:]).mean(0)
    prediction = predicted(cell)
    expected = np.log(prediction.signal) + prediction.log_bias
    allowed = 5 * np.array(prediction.log_std) / math.sqrt(seeds) + prediction.log_error
    assert np.all(np.abs(measured - expected) <= allowed), (measured - expected, allowed)


NARROW = [
    *(Cell(depth=6, width=64, batch=20, activation=name) for name in ("relu", "tanh", "selu")),
    Cell(depth=6, width=64, batch=1),
    Cell(depth=6, width=64, batch=20, activation="sigmoid", initializer="glorot_normal"),
    Cell(depth=6, width=64, batch=20, initializer="orthogonal"),
    Cell(depth=6, width=64, batch=20, activation="tanh", initializer="normal_0.5"),
    Cell(depth=6, width=64, batch=20, normalization="layer"),
    Cell(depth=6, width=64, batch=20, activation="tanh", normalization="layer"),
    Cell(depth=6, width=64, batch=40, normalization="batch"),
    Cell(depth=6, width=64, batch=20, architecture="residual"),
    Cell(depth=6, width=64, batch=20, architecture="residual", activation="tanh"),
]


@pytest.mark.parametrize("cell", NARROW, ids=Cell.id)
def test_spread_of_narrow_networks(cell: Cell) -> None:
    """150 networks of width 64: a sample std is off by 1/sqrt(300) = 5.8 % (1 sigma), leading order
    in 1/64
    by about depth/width = 9 %: with three sigmas within 1.27. The spread may be loose up to a
    factor 2."""
    networks = 150
    logs = np.log([signals(cell, seed) for seed in range(networks)])
    ratios = logs[:, 0] - logs[:, -1]
    prediction = predicted(cell)
    std = prediction.log_std[0]
    assert std / 2 < ratios.std(ddof=1) <= 1.27 * std
    off = ratios.mean() - math.log(prediction.signal[0]) - prediction.log_bias[0]
    assert abs(off) <= 4 * std / math.sqrt(networks) + prediction.log_error[0]


DEEP = [
    Cell(depth=20, activation="tanh"),
    Cell(depth=20, activation="tanh", initializer="glorot_normal"),
    Cell(depth=20, activation="sigmoid", initializer="glorot_normal"),
    Cell(depth=20),
]


@pytest.mark.parametrize("cell", DEEP, ids=Cell.id)
def test_neighbouring_layers_of_deep_networks_vary_as_predicted(cell: Cell) -> None:
    """Deep down few examples carry the signal, and gradients of different classes point the same way:
    a single step varies nearly twice as much as near the output. Root mean square of 19 steps of 100
    networks, in units of what is predicted of each: leading order is off by about depth/width = 20 % of
    a variance, 10 % here, and steps that are independent make 1/sqrt(2 x 1900) = 1.6 %."""
    logs = np.log([signals(cell, seed) for seed in range(100)])
    steps = logs[:, :-1] - logs[:, 1:]
    units = (steps - steps.mean(0)) / np.array(predicted(cell).step_std)
    assert 0.85 < np.sqrt(np.mean(units**2)) < 1.15


def test_a_batch_varies_less_than_one_example() -> None:
    """A mean of positive ratios varies no more than one of them; 5/n a layer for one ReLU example."""
    stds = [predicted(Cell(depth=10, batch=batch)).log_std[0] for batch in (1, 10, 100)]
    assert stds[0] == pytest.approx(math.sqrt(5 * 9 / 100))
    assert stds[0] > stds[1] > stds[2]
    # orthogonal kernels: 3/n from the second layer on, whose z lie on a sphere; nothing of q is felt
    orthogonal = predicted(Cell(depth=10, batch=1, initializer="orthogonal"))
    assert orthogonal.log_std[0] == pytest.approx(math.sqrt(3 * 9 / 100))


def test_what_is_not_followed_has_no_bound() -> None:
    """Skips around normalization, biases and activations that are neither straight nor odd."""
    for cell in (
        Cell(architecture="residual", normalization="batch"),
        Cell(architecture="residual", normalization="layer"),
        Cell(architecture="residual", bias=0.1),
        Cell(architecture="residual", activation="gelu"),
    ):
        assert not_followed(cell)
        assert predicted(cell).log_error == (math.inf, math.inf, 0.0)
    for cell in (Cell(architecture="residual"), Cell(activation="gelu", bias=0.1)):
        assert not not_followed(cell)
        assert max(predicted(cell).log_error) < 0.1


# --- The constants ------------------------------------------------------------------------------


def test_constants_are_those_of_mnist() -> None:
    """Recomputed from the training images where a cache holds them."""
    try:
        data = mnist.open_cached(mnist.MNIST_FINGERPRINT)
    except BenchError:
        pytest.skip("MNIST is not in the cache of this machine")
    pixels = data.train_images.reshape(-1, 784).astype(np.float32) / 255
    labels = np.asarray(data.train_labels)
    squares = np.sort(np.sum(pixels**2, 1, dtype=np.float64))
    assert squares.reshape(16, -1).mean(1) == pytest.approx(images.MNIST_SQUARED_NORMS, abs=0.01)
    rows = np.sum(np.square(pixels.reshape(-1, 28, 28), dtype=np.float64), 2).mean(0)
    assert rows == pytest.approx(images.MNIST_ROWS, abs=1e-3)
    covariance = np.cov(pixels.T)
    values = np.linalg.eigvalsh(covariance)[::-1]
    assert values[:40] == pytest.approx(images.COVARIANCE_EIGENVALUES, abs=1e-3)
    assert values.sum() == pytest.approx(images.COVARIANCE_TRACE, abs=0.01)
    units = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
    counts = np.bincount(labels)
    within = [
        float(np.sum(np.sum(units[labels == k], 0, dtype=np.float64) ** 2)) for k in range(10)
    ]
    pairs = float(np.sum(counts * (counts - 1.0)))
    every = len(units) * (len(units) - 1.0)
    same = (sum(within) - len(units)) / pairs
    total = float(np.sum(np.sum(units, 0, dtype=np.float64) ** 2)) - len(units)
    other = (total - same * pairs) / (every - pairs)
    assert same == pytest.approx(images.COSINE_SAME_CLASS, abs=1e-3)
    assert other == pytest.approx(images.COSINE_OTHER_CLASS, abs=1e-3)
    assert pairs / every == pytest.approx(images.SAME_CLASS, abs=1e-4)
