"""Claims: each has a run that satisfies it, one that must not, and the cells it speaks of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.mnist import MNIST_FINGERPRINT
from bench.results.record import Record
from bench.theory.claim import Claim
from bench.theory.claims import (
    BATCH_NORM_REACHES_30,
    BATCH_NORM_RESCUES_SIGMOID,
    CLAIMS,
    CLIPPING_BOUNDS,
    CLIPPING_PASSES,
    MEAN_FIELD_SIGNAL_RATIO,
    MNIST_TEST_COUNTS,
    MNIST_TEST_SHARES,
    PLAIN_RELU_50_DOES_NOT_LEARN,
    SIGMOID_SIGNAL_RATIO,
    SIGMOID_VANISHES,
    SKIPS_REACH_50,
    ZERO_INITIALIZATION_IS_DEAD,
    check_claims,
    finite_width_spread,
    weight_gain,
)
from bench.theory.recurrent_claims import RECURRENT_CLAIMS
from bench.theory.signal.meanfield import predict
from bench.theory.signal.predicted import SIGMAS, PredictedRatio, prediction_row, silent
from bench.theory.transformer_claims import TRANSFORMER_CLAIMS
from support.builders import crashed, diverged, flow, trained
from support.random_networks import signals

pytestmark = pytest.mark.filterwarnings("error")

SEEDS = (0, 1, 2)
#: Others have tests of their own.
OF_LAYERS = [claim for claim in CLAIMS if claim not in (*RECURRENT_CLAIMS, *TRANSFORMER_CLAIMS)]
U = 2.0**-24


def runs(cell: Cell, *, accuracy: float = 0.94, **of_flow: Any) -> list[Record]:
    """Three seeds that trained; ``of_flow`` changes the gradient flow at start and end."""
    ratio = of_flow.pop("ratio", 0.5)
    seen = msgspec.structs.replace(flow(cell, ratio=ratio), **of_flow)
    return [
        trained(
            cell, s, accuracy=accuracy, spread=0.0, start=seen, end=seen, data=MNIST_FINGERPRINT
        )
        for s in SEEDS
    ]


def as_predicted(cell: Cell, of: Cell | None = None) -> list[Record]:
    """Records of the cell ``of``, the same cell if not given, with the signal that ``cell`` should
    have."""
    prediction = predict(cell)
    assert prediction is not None
    signal = np.array(prediction.signal) * np.exp(prediction.log_bias)
    return runs(of or cell, signal=[float(value) for value in signal])


def with_one_that_diverged(cell: Cell) -> list[Record]:
    return [*runs(cell)[:2], diverged(cell, 2)]


def clipped(
    cell: Cell, before: float, after: float, *, error: float | None, peak: float | None = None
) -> list[Record]:
    """Gradients of norm ``before`` that the optimizer applies with norm ``after``."""
    return runs(
        cell,
        gradient_norm=before,
        clipped_norm=after,
        clipped_variable_norm=after,
        clipped_peak=after if peak is None else peak,
        clip_error=error,
    )


@dataclass(frozen=True)
class Case:
    """What a claim must say of records."""

    name: str
    claim: Claim
    cell: Cell
    records: Sequence[Record] | Callable[[], Sequence[Record]]
    """What is not made up is worked out when a test asks for it."""
    holds: bool

    def made(self) -> Sequence[Record]:
        return self.records() if callable(self.records) else self.records


def case(name: str, claim: Claim, cell: Cell, records: Any, *, holds: bool) -> Case:
    return Case(name, claim, cell, records, holds)


ZEROS = Cell(initializer="zeros")
RELU_10 = Cell(depth=10)
GLOROT_10 = Cell(depth=10, initializer="glorot_normal")
TANH_10 = Cell(depth=10, activation="tanh")
SIGMOID_10 = Cell(depth=10, activation="sigmoid", initializer="glorot_normal")
RESCUED = msgspec.structs.replace(SIGMOID_10, normalization="batch")
RELU_50 = Cell(depth=50)
RELU_30 = Cell(depth=30, normalization="batch")
SKIPS = Cell(depth=50, architecture="residual", normalization="batch")
VALUE, NORM, GLOBAL = (Cell(clipping=f"{rule}_0.5") for rule in ("value", "norm", "global_norm"))

DEAD = {"kernel_gradient_peak": 0.0}
CASES = [
    case(
        "dead", ZERO_INITIALIZATION_IS_DEAD, ZEROS, runs(ZEROS, accuracy=0.1135, **DEAD), holds=True
    ),
    case(
        "dead, at another class",
        ZERO_INITIALIZATION_IS_DEAD,
        ZEROS,
        runs(ZEROS, accuracy=0.098, **DEAD),
        holds=True,
    ),
    case(
        "a kernel moves",
        ZERO_INITIALIZATION_IS_DEAD,
        ZEROS,
        runs(ZEROS, accuracy=0.1135, kernel_gradient_peak=1e-30),
        holds=False,
    ),
    case(
        "a kernel gradient is NaN",
        ZERO_INITIALIZATION_IS_DEAD,
        ZEROS,
        runs(ZEROS, accuracy=0.1135, kernel_gradient_peak=None),
        holds=False,
    ),
    case(
        "no class' share",
        ZERO_INITIALIZATION_IS_DEAD,
        ZEROS,
        runs(ZEROS, accuracy=0.1134, **DEAD),
        holds=False,
    ),
    *(
        case(
            f"as predicted, {cell.id()}",
            MEAN_FIELD_SIGNAL_RATIO,
            cell,
            partial(as_predicted, cell),
            holds=True,
        )
        for cell in (RELU_10, GLOROT_10, TANH_10, RESCUED, RELU_30, Cell(architecture="residual"))
    ),
    case(
        "he halves",
        MEAN_FIELD_SIGNAL_RATIO,
        RELU_10,
        partial(as_predicted, GLOROT_10, RELU_10),
        holds=False,
    ),
    case(
        "glorot keeps",
        MEAN_FIELD_SIGNAL_RATIO,
        GLOROT_10,
        partial(as_predicted, RELU_10, GLOROT_10),
        holds=False,
    ),
    case(
        "no batch norm",
        MEAN_FIELD_SIGNAL_RATIO,
        RESCUED,
        partial(as_predicted, SIGMOID_10, RESCUED),
        holds=False,
    ),
    case(
        "skips around nothing",
        MEAN_FIELD_SIGNAL_RATIO,
        Cell(architecture="residual"),
        partial(as_predicted, Cell(), Cell(architecture="residual")),
        holds=False,
    ),
    case("ratio NaN", MEAN_FIELD_SIGNAL_RATIO, RELU_10, runs(RELU_10, ratio=None), holds=False),
    case(
        "ratio 0",
        MEAN_FIELD_SIGNAL_RATIO,
        RELU_10,
        runs(RELU_10, signal=[0.0] * 9 + [1.0]),
        holds=False,
    ),
    case(
        "all is 0", MEAN_FIELD_SIGNAL_RATIO, RELU_10, runs(RELU_10, signal=[0.0] * 10), holds=False
    ),
    case(
        "right from first to last, wrong in between",
        MEAN_FIELD_SIGNAL_RATIO,
        RELU_10,
        runs(RELU_10, signal=[1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        holds=False,
    ),
    case(
        "sigmoid shrinks",
        SIGMOID_SIGNAL_RATIO,
        SIGMOID_10,
        runs(SIGMOID_10, ratio=20.0**-9),
        holds=True,
    ),
    case(
        "sigmoid to 0",
        SIGMOID_SIGNAL_RATIO,
        SIGMOID_10,
        runs(SIGMOID_10, signal=[0.0] * 9 + [1.0]),
        holds=True,
    ),
    case(
        "sigmoid shrinks too little",
        SIGMOID_SIGNAL_RATIO,
        SIGMOID_10,
        runs(SIGMOID_10, ratio=8.0**-9),
        holds=False,
    ),
    case(
        "sigmoid NaN", SIGMOID_SIGNAL_RATIO, SIGMOID_10, runs(SIGMOID_10, ratio=None), holds=False
    ),
    case(
        "sigmoid vanishes",
        SIGMOID_VANISHES,
        SIGMOID_10,
        runs(SIGMOID_10, ratio=1e-11, accuracy=0.1135),
        holds=True,
    ),
    case(
        "sigmoid vanishes and learns",
        SIGMOID_VANISHES,
        SIGMOID_10,
        runs(SIGMOID_10, ratio=1e-11, accuracy=0.94),
        holds=False,
    ),
    case(
        "sigmoid does not vanish",
        SIGMOID_VANISHES,
        SIGMOID_10,
        runs(SIGMOID_10, ratio=1e-5, accuracy=0.1135),
        holds=False,
    ),
    case("rescued", BATCH_NORM_RESCUES_SIGMOID, RESCUED, runs(RESCUED, accuracy=0.94), holds=True),
    case(
        "not rescued",
        BATCH_NORM_RESCUES_SIGMOID,
        RESCUED,
        runs(RESCUED, accuracy=0.1135),
        holds=False,
    ),
    case(
        "one seed diverged",
        BATCH_NORM_RESCUES_SIGMOID,
        RESCUED,
        with_one_that_diverged(RESCUED),
        holds=False,
    ),
    case(
        "50 is too deep",
        PLAIN_RELU_50_DOES_NOT_LEARN,
        RELU_50,
        runs(RELU_50, accuracy=0.229),
        holds=True,
    ),
    case(
        "all diverged",
        PLAIN_RELU_50_DOES_NOT_LEARN,
        RELU_50,
        [diverged(RELU_50, s) for s in SEEDS],
        holds=True,
    ),
    case(
        "one of three learns",
        PLAIN_RELU_50_DOES_NOT_LEARN,
        RELU_50,
        with_one_that_diverged(RELU_50),
        holds=False,
    ),
    case("30 learns", BATCH_NORM_REACHES_30, RELU_30, runs(RELU_30, accuracy=0.9), holds=True),
    case("30 does not", BATCH_NORM_REACHES_30, RELU_30, runs(RELU_30, accuracy=0.49), holds=False),
    case("skips learn", SKIPS_REACH_50, SKIPS, runs(SKIPS, accuracy=0.93), holds=True),
    case("skips do not", SKIPS_REACH_50, SKIPS, runs(SKIPS, accuracy=0.36), holds=False),
    case(
        "value", CLIPPING_BOUNDS, VALUE, clipped(VALUE, 7.0, 3.0, error=0.9, peak=0.5), holds=True
    ),
    case(
        "value exceeded",
        CLIPPING_BOUNDS,
        VALUE,
        clipped(VALUE, 7.0, 3.0, error=0.9, peak=0.501),
        holds=False,
    ),
    case("norm", CLIPPING_BOUNDS, NORM, clipped(NORM, 7.0, 0.5, error=0.9), holds=True),
    case("norm exceeded", CLIPPING_BOUNDS, NORM, clipped(NORM, 7.0, 0.501, error=0.9), holds=False),
    case("global norm", CLIPPING_BOUNDS, GLOBAL, clipped(GLOBAL, 7.0, 0.5, error=0.9), holds=True),
    case(
        "global norm exceeded",
        CLIPPING_BOUNDS,
        GLOBAL,
        clipped(GLOBAL, 7.0, 0.501, error=0.9),
        holds=False,
    ),
    case(
        "global norm clips too much",
        CLIPPING_BOUNDS,
        GLOBAL,
        clipped(GLOBAL, 7.0, 0.499, error=0.9),
        holds=False,
    ),
    case(
        "global norm clips below its threshold",
        CLIPPING_BOUNDS,
        GLOBAL,
        clipped(GLOBAL, 0.4, 0.39, error=0.03),
        holds=False,
    ),
    *(
        case(
            f"NaN of a finite gradient, {cell.clipping}",
            CLIPPING_BOUNDS,
            cell,
            runs(cell, clipped_peak=None, clipped_variable_norm=None, clipped_norm=None),
            holds=False,
        )
        for cell in (VALUE, NORM, GLOBAL)
    ),
    case("passes", CLIPPING_PASSES, VALUE, clipped(VALUE, 0.4, 0.4, error=0.0), holds=True),
    case(
        "value may not round",
        CLIPPING_PASSES,
        VALUE,
        clipped(VALUE, 0.4, 0.4, error=U),
        holds=False,
    ),
    case("a norm rounds", CLIPPING_PASSES, NORM, clipped(NORM, 0.4, 0.4, error=2 * U), holds=True),
    case(
        "a norm changes", CLIPPING_PASSES, NORM, clipped(NORM, 0.4, 0.4, error=3 * U), holds=False
    ),
    case(
        "global norm changes",
        CLIPPING_PASSES,
        GLOBAL,
        clipped(GLOBAL, 0.4, 0.4, error=1e-3),
        holds=False,
    ),
    case(
        "what passes is NaN",
        CLIPPING_PASSES,
        NORM,
        clipped(NORM, 0.4, 0.4, error=None),
        holds=False,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.claim.name}: {case.name}")
def test_verdict_of_a_claim(case: Case) -> None:
    """On hand-made records."""
    records = case.made()
    result = case.claim.of(case.cell, records)
    assert result is not None
    assert result.holds is case.holds, result.evidence
    assert (result.claim, result.statement) == (case.claim.name, case.claim.statement)
    assert result in check_claims(case.cell, records)


@pytest.mark.parametrize("claim", OF_LAYERS, ids=lambda claim: claim.name)
def test_every_claim_has_a_passing_and_a_failing_case(claim: Claim) -> None:
    """A claim that nothing satisfies, or nothing violates, says nothing."""
    assert {case.holds for case in CASES if case.claim is claim} == {True, False}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
@pytest.mark.slow
def test_every_claim_speaks_of_a_quick_cell(claim: Claim) -> None:
    """So that a pull request hears of its violation, and not of all cells; but for the one of networks
    that take as long as twenty others, which the published experiment P7 tells of there."""
    tier = "standard" if claim is SKIPS_REACH_50 else "quick"
    cells = {cell for grid in UPGRADE_GRIDS.values() for cell in grid.cells(tier).values()}
    spoken_of = {cell for cell in cells if claim.applies(cell)}
    assert 0 < len(spoken_of) < (len(cells) if claim is MEAN_FIELD_SIGNAL_RATIO else len(cells) / 2)


def test_names_are_unique() -> None:
    """Reports tell claims apart by them."""
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    assert len(OF_LAYERS) == 10


@pytest.mark.parametrize(
    ("claim", "cell"),
    [
        (ZERO_INITIALIZATION_IS_DEAD, Cell(depth=0, initializer="zeros")),  # softmax regression
        (ZERO_INITIALIZATION_IS_DEAD, Cell(initializer="zeros", bias=0.1)),
        (ZERO_INITIALIZATION_IS_DEAD, Cell(initializer="zeros", activation="sigmoid")),
        (ZERO_INITIALIZATION_IS_DEAD, Cell(initializer="zeros", activation="softplus")),
        (ZERO_INITIALIZATION_IS_DEAD, Cell(initializer="normal_0.0001")),
        (ZERO_INITIALIZATION_IS_DEAD, Cell(initializer="zeros", normalization="batch")),
        (MEAN_FIELD_SIGNAL_RATIO, Cell(depth=1)),  # no ratio
        (MEAN_FIELD_SIGNAL_RATIO, ZEROS),  # 0/0
        (MEAN_FIELD_SIGNAL_RATIO, Cell(architecture="cnn")),
        (MEAN_FIELD_SIGNAL_RATIO, Cell(dropout=0.5)),
        (MEAN_FIELD_SIGNAL_RATIO, Cell(precision="mixed_bfloat16")),
        (MEAN_FIELD_SIGNAL_RATIO, SKIPS),
        (MEAN_FIELD_SIGNAL_RATIO, Cell(architecture="residual", normalization="layer")),
        (MEAN_FIELD_SIGNAL_RATIO, Cell(normalization="batch", batch=16)),
        (MEAN_FIELD_SIGNAL_RATIO, Cell(depth=30, initializer="normal_0.01")),  # below float32
        (MEAN_FIELD_SIGNAL_RATIO, Cell(depth=50, initializer="normal_1.0")),  # above it
        (SIGMOID_SIGNAL_RATIO, Cell(depth=1, activation="sigmoid")),
        (SIGMOID_SIGNAL_RATIO, RESCUED),
        (SIGMOID_SIGNAL_RATIO, Cell(activation="tanh")),
        (SIGMOID_VANISHES, Cell(depth=3, activation="sigmoid")),
        (SIGMOID_VANISHES, msgspec.structs.replace(SIGMOID_10, optimizer="adam")),
        (SIGMOID_VANISHES, msgspec.structs.replace(SIGMOID_10, initializer="normal_1.0")),
        (BATCH_NORM_RESCUES_SIGMOID, SIGMOID_10),
        (BATCH_NORM_RESCUES_SIGMOID, msgspec.structs.replace(RESCUED, normalization="layer")),
        (BATCH_NORM_RESCUES_SIGMOID, msgspec.structs.replace(RESCUED, steps=10)),
        (PLAIN_RELU_50_DOES_NOT_LEARN, SKIPS),
        (PLAIN_RELU_50_DOES_NOT_LEARN, Cell(depth=50, normalization="batch")),
        (PLAIN_RELU_50_DOES_NOT_LEARN, Cell(depth=50, learning_rate=0.01)),
        (BATCH_NORM_REACHES_30, Cell(depth=50, normalization="batch")),
        (BATCH_NORM_REACHES_30, Cell(depth=30, normalization="batch", initializer="normal_0.01")),
        (SKIPS_REACH_50, Cell(depth=50, architecture="residual")),
        (SKIPS_REACH_50, msgspec.structs.replace(SKIPS, branch="scaled")),
        (CLIPPING_BOUNDS, Cell()),
        (CLIPPING_PASSES, Cell()),
        (CLIPPING_BOUNDS, msgspec.structs.replace(NORM, precision="mixed_bfloat16")),
    ],
)
def test_claims_are_silent_on_other_cells(claim: Claim, cell: Cell) -> None:
    """What their source does not speak of."""
    assert not claim.applies(cell)
    assert claim.of(cell, runs(cell)) is None


EXAMPLES = {case.claim.name: case.cell for case in CASES}


@pytest.mark.parametrize("claim", OF_LAYERS, ids=lambda claim: claim.name)
def test_nothing_measured_is_silence(claim: Claim) -> None:
    """Neither no records nor crashes alone confirm or violate anything."""
    cell = EXAMPLES[claim.name]
    assert claim.applies(cell)
    assert claim.of(cell, []) is None
    assert claim.of(cell, [crashed(cell, s) for s in SEEDS]) is None


@pytest.mark.parametrize(
    "claim",
    [
        ZERO_INITIALIZATION_IS_DEAD,
        MEAN_FIELD_SIGNAL_RATIO,
        SIGMOID_SIGNAL_RATIO,
        SIGMOID_VANISHES,
        CLIPPING_BOUNDS,
        CLIPPING_PASSES,
    ],
    ids=lambda claim: claim.name,
)
def test_claims_about_gradients_are_silent_without_them(claim: Claim) -> None:
    """Records whose gradient flow was not measured."""
    cell = EXAMPLES[claim.name]
    bare = [trained(cell, s, accuracy=0.1135, spread=0.0, start=None, end=None) for s in SEEDS]
    assert claim.of(cell, bare) is None


def test_gradients_that_overflow_say_nothing_of_clipping() -> None:
    """Nothing bounds what is not finite before clipping; that is not a confirmation."""
    none = dict.fromkeys(
        ["gradient_norm", "clipped_norm", "clipped_peak", "clipped_variable_norm", "clip_error"]
    )
    for cell in (VALUE, NORM, GLOBAL):
        assert CLIPPING_BOUNDS.of(cell, runs(cell, **none)) is None
        assert CLIPPING_PASSES.of(cell, runs(cell, **none)) is None


def test_gradients_above_the_threshold_say_nothing_of_passing() -> None:
    """Only what lies below must pass unchanged."""
    assert CLIPPING_PASSES.of(NORM, clipped(NORM, 7.0, 0.5, error=0.9)) is None


def test_a_crash_beside_measured_seeds_is_left_out() -> None:
    """The other seeds speak."""
    records = [*runs(RELU_30, accuracy=0.9)[:2], crashed(RELU_30, 2)]
    result = BATCH_NORM_REACHES_30.of(RELU_30, records)
    assert result is not None
    assert result.holds
    assert "of 2 seeds" in result.evidence


def test_other_data_than_mnist_may_have_other_classes() -> None:
    """The share of one class is only known of MNIST."""
    records = [
        msgspec.structs.replace(record, data="f" * 64)
        for record in runs(ZEROS, accuracy=0.1, **DEAD)
    ]
    result = ZERO_INITIALIZATION_IS_DEAD.of(ZEROS, records)
    assert result is not None
    assert result.holds


def test_counts_are_those_of_mnists_test_labels() -> None:
    """Images of each digit 0..9 among the 10,000 (LeCun, Cortes, Burges)."""
    assert sum(MNIST_TEST_COUNTS) == 10_000
    assert math.fsum(MNIST_TEST_SHARES) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("initializer", "gain"),
    [("he_normal", 2.0), ("he_uniform", 2.0), ("glorot_uniform", 1.0), ("lecun_normal", 1.0)],
)
def test_weight_gain(initializer: str, gain: float) -> None:
    """n Var(W) at width n: 2 n / n, 2 n / (2 n), n / n."""
    assert weight_gain(Cell(initializer=initializer)) == pytest.approx(gain)


# --- The bounds, against simulation -------------------------------------------------------------

NETWORKS = 300


@pytest.fixture(
    scope="module",
    params=[Cell(depth=10, batch=1), Cell(depth=10, batch=32), Cell(depth=20, batch=8)],
    ids=Cell.id,
)
def simulated(request: pytest.FixtureRequest) -> tuple[Cell, np.ndarray]:
    """Signals of 300 random networks: (networks, layers)."""
    return request.param, np.array([signals(request.param, seed) for seed in range(NETWORKS)])


@pytest.mark.slow
def test_the_prediction_lies_inside(simulated: tuple[Cell, np.ndarray]) -> None:
    """Of 100 groups of three seeds none is accused: the false alarm rate that the claim states is
    2 in 16,000."""
    cell, signals = simulated
    groups = signals.reshape(-1, 3, cell.depth)
    assert len(groups) == NETWORKS // 3
    for group in groups:
        result = MEAN_FIELD_SIGNAL_RATIO.of(cell, _with_signals(cell, group))
        assert result is not None
        assert result.holds, result.evidence


@pytest.mark.slow
def test_one_seed_of_a_deep_network_is_no_violation() -> None:
    """An upgrade trains one seed first: of 100 networks none is accused, in the chaotic phase and at
    the edge of the ordered one."""
    for initializer in ("he_normal", "glorot_normal"):
        cell = Cell(depth=20, activation="tanh", initializer=initializer)
        for seed in range(100):
            result = MEAN_FIELD_SIGNAL_RATIO.of(
                cell, _with_signals(cell, signals(cell, seed)[None])
            )
            assert result is not None
            assert result.holds, result.evidence


@pytest.mark.slow
def test_the_prediction_has_teeth(simulated: tuple[Cell, np.ndarray]) -> None:
    """Planted: every layer's weights have 1.5 times too little variance; or one layer's a third."""
    cell, signals = simulated
    evenly = signals * 1.5 ** -np.arange(cell.depth, 0, -1.0)
    at_one = signals * np.where(np.arange(cell.depth) < cell.depth // 2, 1 / 3, 1.0)
    for planted in (evenly, at_one):
        for group in planted.reshape(-1, 3, cell.depth):
            result = MEAN_FIELD_SIGNAL_RATIO.of(cell, _with_signals(cell, group))
            assert result is not None
            assert not result.holds, result.evidence


def test_three_seeds_spread_less_than_one() -> None:
    """By the square root of their number: 5 (10 - 1) / (100 x 1) = .45 of one."""
    assert finite_width_spread(RELU_10, 1) == pytest.approx(math.sqrt(0.45))
    assert finite_width_spread(RELU_10, 3) == pytest.approx(math.sqrt(0.15))


def test_a_row_states_both_ratios_and_their_quotient() -> None:
    """Measured e^(1 std) above what is expected of one seed; the tolerance is derived in the module:
    (4 + 15/6 x 1.5 x sd of a layer) std + error."""
    prediction = predict(RELU_10)
    assert prediction is not None
    std, error = prediction.log_std[0], prediction.log_error[0]
    signal = [float(value) for value in np.exp(np.linspace(std, 0.0, 10) + prediction.log_bias)]
    row = prediction_row(RELU_10, runs(RELU_10, signal=signal)[:1])
    assert isinstance(row, PredictedRatio)
    assert row.holds
    assert row.layers == ""
    assert row.predicted == pytest.approx(math.exp(prediction.log_bias[0]))
    assert row.infinite == prediction.signal_ratio == pytest.approx(1.0)
    assert row.quotient == pytest.approx(math.exp(std))
    assert row.measured == pytest.approx(row.predicted * row.quotient)
    layer = max(prediction.step_std)
    assert row.tolerance == pytest.approx(math.exp((4 + 2.5 * 1.5 * layer) * std + error))
    assert SIGMAS == 4.0


def test_more_seeds_tell_more() -> None:
    """The tolerance shrinks with their number, down to what the theory leaves out."""
    one, three = (prediction_row(RELU_10, as_predicted(RELU_10)[:count]) for count in (1, 3))
    assert one is not None
    assert three is not None
    assert 1 < three.tolerance < one.tolerance


def test_other_images_have_no_row() -> None:
    """Lengths and angles of images enter the prediction."""
    records = [msgspec.structs.replace(record, data="f" * 64) for record in as_predicted(RELU_10)]
    assert prediction_row(RELU_10, records) is None
    assert MEAN_FIELD_SIGNAL_RATIO.of(RELU_10, records) is None
    assert not silent(RELU_10)


def test_a_wrong_layer_is_named() -> None:
    """Evidence says where."""
    records = runs(RELU_10, signal=[1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    row = prediction_row(RELU_10, records)
    assert row is not None
    assert not row.holds
    assert row.layers.startswith(("layers 4 and 5: quotient", "layers 5 and 6: quotient"))


def _with_signals(cell: Cell, group: np.ndarray) -> list[Record]:
    records = []
    for seed, signal in enumerate(group):
        seen = msgspec.structs.replace(flow(cell), signal=[float(value) for value in signal])
        records.append(trained(cell, seed, start=seen, data=MNIST_FINGERPRINT))
    return records
