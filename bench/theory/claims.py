"""Claims: statements from theory or publication that hold for any TensorFlow version.

A claim needs no baseline, so it also catches what is wrong on both sides of a comparison. It is
checked on every cell that it applies to, in whichever grid the cell stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from bench.cells.cell import VANISHING_AT_ZERO, Cell
from bench.cells.initial_values import variance
from bench.mnist import MNIST_FINGERPRINT
from bench.results.columns import known, numbers
from bench.results.flow import Flow
from bench.results.record import Record
from bench.theory.claim import Claim, ClaimResult, Finding
from bench.theory.oracle.network import SHAPES
from bench.theory.recurrent_claims import RECURRENT_CLAIMS
from bench.theory.rounding.formats import FLOAT32
from bench.theory.signal.predicted import SIGMAS, prediction_row, silent
from bench.theory.transformer_claims import TRANSFORMER_CLAIMS

#: A network has learned if it gets most test images right: more than four times what the largest
#: class alone would give (.1135), and far from what a trained network reaches (above .9).
LEARNED = 0.5

#: MNIST's test images of each class.
MNIST_TEST_COUNTS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
MNIST_TEST_SHARES = tuple(count / 10_000 for count in MNIST_TEST_COUNTS)


def check_claims(cell: Cell, records: Sequence[Record]) -> list[ClaimResult]:
    """The results of all claims that apply to a cell; none to a model of the user's."""
    if cell.model:
        return []
    results = (claim.of(cell, records) for claim in CLAIMS)
    return [result for result in results if result is not None]


# --- What cells a claim is about ----------------------------------------------------------------


def _plain(cell: Cell) -> bool:
    """Whether the cell is a multilayer perceptron without skips and normalization."""
    return cell.architecture == "mlp" and cell.normalization == "none"


def _scaled_to_width(cell: Cell) -> bool:
    return cell.initializer.partition("_")[0] in ("he", "glorot", "lecun")


def _trained_as_usual(cell: Cell) -> bool:
    """Whether a cell has the recipe under which the statements about learning were established."""
    return (
        _scaled_to_width(cell)
        and (cell.optimizer, cell.learning_rate, cell.loss) == ("sgd", 0.1, "crossentropy")
        and (cell.clipping, cell.bias, cell.input_scale) == ("none", 0.0, 1.0)
        and (cell.dropout, cell.batch, cell.steps) == (0.0, 100, 600)
        and (cell.width, cell.weight_decay) == (100, 0.0)
    )


def _is(
    cell: Cell,
    activation: str,
    depth: int,
    *,
    architecture: str = "mlp",
    normalization: str = "batch",
) -> bool:
    """Whether a cell is this network, trained as usual."""
    return (
        (cell.architecture, cell.branch, cell.normalization)
        == (architecture, "plain", normalization)
        and (cell.activation, cell.depth) == (activation, depth)
        and _trained_as_usual(cell)
    )


def weight_gain(cell: Cell) -> float:
    """sigma_w^2 = n Var(W) between two hidden layers of width n."""
    return cell.width * variance(cell.initializer, (cell.width, cell.width))


# --- What is measured ---------------------------------------------------------------------------


def _flows(records: Sequence[Record]) -> list[Flow]:
    return [flow for record in records for flow in (record.start, record.end) if flow is not None]


def _learns(_: Cell, records: Sequence[Record]) -> Finding:
    """Whether a cell learns under most seeds and diverges under none: one of five may end with moving
    statistics that do not fit the test images (depth 50 with skips: .84, .85, .82, .31, .83)."""
    accuracies = sorted(record.test_accuracy or 0.0 for record in records)
    median = accuracies[(len(accuracies) - 1) // 2]
    return (
        median >= LEARNED and all(record.outcome == "trained" for record in records),
        f"median test accuracy {median:.4f} of {len(records)} seeds, lowest {accuracies[0]:.4f}, "
        f"learned is >= {LEARNED}",
    )


def _does_not_learn(_: Cell, records: Sequence[Record]) -> Finding:
    accuracies = [record.test_accuracy or 0.0 for record in records]
    diverged = sum(record.outcome == "diverged" for record in records)
    return (
        max(accuracies) < LEARNED,
        f"highest test accuracy {max(accuracies):.4f} of {len(records)} seeds ({diverged} diverged), "
        f"learned is >= {LEARNED}",
    )


def _dead(_: Cell, records: Sequence[Record]) -> Finding | None:
    peaks = [flow.kernel_gradient_peak for flow in _flows(records)]
    if not peaks:
        return None
    peak = max(value or 0.0 for value in peaks)
    accuracies = {record.test_accuracy for record in records}
    known = all(record.data == MNIST_FINGERPRINT for record in records)
    at_share = not known or all(
        value is not None and round(value, 6) in MNIST_TEST_SHARES for value in accuracies
    )
    return (
        None not in peaks and peak == 0.0 and at_share,
        f"largest kernel gradient {peak:g}, must be exactly 0; test accuracies "
        f"{sorted(value or 0.0 for value in accuracies)}, must be the share of one class",
    )


def _signal_ratios(records: Sequence[Record]) -> tuple[int, list[float]]:
    """Of how many records gradient flow was measured at step 0, and its signal ratios if finite."""
    flows = [record.start for record in records if record.start is not None]
    return len(flows), known(flows, "signal_ratio")


def finite_width_spread(cell: Cell, seeds: int) -> float:
    """Standard deviation of the mean over seeds of ln(signal ratio), first to last layer.

    One example's squared norm changes by a factor of variance 5/n per ReLU layer of width n with
    normal weights, independently from layer to layer (Hanin and Nica 2020, theorem 1); a batch
    average varies no more than one example.
    """
    return math.sqrt(5 * (cell.depth - 1) / (cell.width * seeds))


def _as_predicted(cell: Cell, records: Sequence[Record]) -> Finding | None:
    row = prediction_row(cell, records)
    if row is None:
        return None
    layers = f"; {row.layers}" if row.layers else ""
    return (
        row.holds,
        f"signal ratio {row.measured:.4g}, predicted {row.predicted:.4g} "
        f"({row.infinite:.4g} at infinite width): quotient {row.quotient:.4g}, "
        f"tolerance {row.tolerance:.4g}{layers}",
    )


def _sigmoid_ratio(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether the ratio is as small as slopes up to 1/4 make it: chi <= sigma_w^2 / 16 per layer."""
    seen, finite = _signal_ratios(records)
    if not seen:
        return None
    if len(finite) < seen:
        return False, "the signal ratio is not finite"
    measured = fmean(math.log(ratio) if ratio else -math.inf for ratio in finite)
    bound = (cell.depth - 1) * math.log(weight_gain(cell) / 16)
    bound += SIGMAS * finite_width_spread(cell, seen)
    return measured <= bound, f"ln(signal ratio) {measured:.3f}, must be at most {bound:.3f}"


def _below_a_millionth(cell: Cell, records: Sequence[Record]) -> Finding | None:
    seen, finite = _signal_ratios(records)
    if not seen:
        return None
    holds, evidence = _does_not_learn(cell, records)
    largest = max(finite, default=math.inf)
    return (
        holds and len(finite) == seen and largest < 1e-6,
        f"largest signal ratio {largest:.2g}, must be below 1e-6; {evidence}",
    )


def _rounding_of_norm(cell: Cell) -> float:
    """Relative error of a float32 l2 norm over all gradient entries, and of the scaling by it.

    A sum of N squares in any order is off by at most lambda sqrt(N) u relative, with a probability
    that lambda = 4 makes negligible (Higham and Mary 2019, theorem 2.4); its root by half as much;
    quotient and product add 2 u.
    """
    entries = sum(map(math.prod, SHAPES[cell.architecture](cell)))
    return (2 * math.sqrt(entries) + 3) * FLOAT32.roundoff


def _clip_bounds(cell: Cell, records: Sequence[Record]) -> Finding | None:
    rule, threshold = cell.clipping_rule
    assert threshold is not None
    rounding = 0.0 if rule == "value" else _rounding_of_norm(cell)
    limit = threshold * (1 + FLOAT32.roundoff) * (1 + rounding)  # the threshold is rounded too
    clipped = {"value": "clipped_peak", "norm": "clipped_variable_norm"}.get(rule, "clipped_norm")
    flows = _flows(records)
    norms, after = numbers(flows, "gradient_norm"), numbers(flows, clipped)
    wrong = ~np.isnan(norms) & np.isnan(after)  # nothing bounds a gradient that is not finite
    kept = np.minimum(norms, threshold)
    if rule == "global_norm":
        wrong |= np.abs(after - kept) > kept * (rounding + FLOAT32.roundoff)
    if wrong.any():
        first = int(wrong.argmax())
        if np.isnan(after[first]):
            return False, "a finite gradient is not finite after clipping"
        return False, f"global norm {after[first]:.7g} after clipping, must be {kept[first]:.7g}"
    if np.isnan(after).all():
        return None
    worst = float(np.nanmax(after))
    return worst <= limit, f"largest after clipping {worst:.7g}, threshold {threshold:g}"


def _clip_passes(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether gradients below the threshold pass: clipping by value copies them, by norm it multiplies
    them by a quotient that is 1 but for its rounding, two operations that are each off by at most u."""
    rule, threshold = cell.clipping_rule
    assert threshold is not None
    allowed = 0.0 if rule == "value" else 2 * FLOAT32.roundoff * (1 + FLOAT32.roundoff)
    flows = _flows(records)
    errors = numbers(flows, "clip_error")[numbers(flows, "gradient_norm") < threshold * (1 - 1e-3)]
    if not errors.size:
        return None
    worst = math.inf if np.isnan(errors).any() else float(errors.max())
    return (
        worst <= allowed,
        f"largest relative change {worst:.2g} over {errors.size} gradients below the threshold, "
        f"allowed {allowed:.2g}",
    )


# --- The claims ---------------------------------------------------------------------------------

ZERO_INITIALIZATION_IS_DEAD = Claim(
    "zero-initialization-is-dead",
    "All-zero weights behind an activation with phi(0) = 0: every kernel gradient is exactly 0, only "
    "the output bias moves, and the test accuracy stays at the share of one class.",
    lambda cell: (
        _plain(cell)
        and cell.depth >= 1
        and (cell.initializer, cell.bias) == ("zeros", 0.0)
        and cell.activation in VANISHING_AT_ZERO
    ),
    _dead,
)
MEAN_FIELD_SIGNAL_RATIO = Claim(
    "mean-field-signal-ratio",
    "The back-propagated signal's variance at step 0 changes from layer to layer as mean-field theory "
    "predicts (Schoenholz et al. 2017, eq. 14; behind batch normalization Yang et al. 2019), within "
    "what finite width makes of it (Hanin and Nica 2020).",
    lambda cell: not silent(cell),
    _as_predicted,
)
SIGMOID_SIGNAL_RATIO = Claim(
    "sigmoid-signal-ratio",
    "Sigmoid: a slope of at most 1/4 shrinks the signal's variance at least 16-fold per layer at unit "
    "weight variance (Glorot and Bengio 2010).",
    lambda cell: (
        _plain(cell) and cell.activation == "sigmoid" and cell.depth >= 2 and _scaled_to_width(cell)
    ),
    _sigmoid_ratio,
)
SIGMOID_VANISHES = Claim(
    "sigmoid-vanishes-at-depth-10",
    "Sigmoid at depth 10 and more: the signal ratio is below 1e-6 and the network does not learn.",
    lambda cell: _is(cell, "sigmoid", cell.depth, normalization="none") and cell.depth >= 10,
    _below_a_millionth,
)
BATCH_NORM_RESCUES_SIGMOID = Claim(
    "batch-norm-rescues-sigmoid",
    "Batch normalization makes the sigmoid network of depth 10 learn (Ioffe and Szegedy 2015).",
    lambda cell: _is(cell, "sigmoid", 10),
    _learns,
)
PLAIN_RELU_50_DOES_NOT_LEARN = Claim(
    "plain-relu-50-does-not-learn",
    "A plain ReLU network of depth 50 does not learn.",
    lambda cell: _is(cell, "relu", 50, normalization="none"),
    _does_not_learn,
)
BATCH_NORM_REACHES_30 = Claim(
    "batch-norm-reaches-30",
    "Batch normalization and a right initialization make a plain ReLU network of depth 30 learn.",
    lambda cell: _is(cell, "relu", 30),
    _learns,
)
SKIPS_REACH_50 = Claim(
    "batch-norm-and-skips-reach-50",
    "Batch normalization and skip connections make a ReLU network of depth 50 learn (He et al. 2016).",
    lambda cell: _is(cell, "relu", 50, architecture="residual"),
    _learns,
)
CLIPPING_BOUNDS = Claim(
    "clipping-bounds",
    "No clipped gradient exceeds its threshold: by value no entry, by norm no variable, by global "
    "norm not all of them together, whose norm is min(norm, threshold) (Pascanu et al. 2013).",
    lambda cell: cell.clipping != "none" and cell.precision == "float32",
    _clip_bounds,
)
CLIPPING_PASSES = Claim(
    "clipping-passes-below-threshold",
    "A gradient below its threshold passes unchanged but for the rounding of a scale factor.",
    lambda cell: cell.clipping != "none" and cell.precision == "float32",
    _clip_passes,
)

CLAIMS = (
    ZERO_INITIALIZATION_IS_DEAD,
    MEAN_FIELD_SIGNAL_RATIO,
    SIGMOID_SIGNAL_RATIO,
    SIGMOID_VANISHES,
    BATCH_NORM_RESCUES_SIGMOID,
    PLAIN_RELU_50_DOES_NOT_LEARN,
    BATCH_NORM_REACHES_30,
    SKIPS_REACH_50,
    CLIPPING_BOUNDS,
    CLIPPING_PASSES,
    *RECURRENT_CLAIMS,
    *TRANSFORMER_CLAIMS,
)
