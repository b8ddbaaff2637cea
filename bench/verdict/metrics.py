"""Metrics: what of a record is compared, on which scale, and the smallest change that matters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.results.flow import Flow
from bench.results.record import Record

Array = npt.NDArray[np.float64]

#: Images that a test accuracy is a share of (MNIST's test set).
TEST_IMAGES = 10_000

#: A spread below this share of the minimum effect counts as this share. It decides nothing: with two
#: seeds a side the standard error is then as large, and a change of the minimum effect lies ten of
#: them from none.
RESOLUTION = 0.1

#: Steps that the loss is averaged over before it is held against its level, so that one easy batch
#: does not reach it: ten batches of a hundred are a thousand images.
LOSS_WINDOW = 10


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number per replica, and how two sets of it are compared.

    Example:
        >>> METRICS[0].change(0.90, 0.95) == 0.95 - 0.90
        True
    """

    name: str
    title: str
    unit: str
    """Of the raw value; empty for a plain number."""
    get: Callable[[Record], float | None]
    """The raw value, never NaN or infinite; None where it is not defined."""
    scale: Literal["linear", "log"]
    """``log``: compared as natural logarithms; a change is the logarithm of a ratio."""
    better: Literal[-1, 0, 1]
    """1: more is better; -1: less is better; 0: a change is neither good nor bad."""
    minimum_effect: float
    """Smallest change that matters, on the metric's scale."""
    paired: bool
    """Whether the two sides of a seed start from the same numbers, so that they are subtracted seed
    by seed where seeds match. Replicas decorrelate while training (Summers and Dinneen 2021): metrics
    at the end are compared as two samples."""
    why: str
    """Where ``minimum_effect`` comes from."""
    undefined: str = "is not defined (zero, or overflow)"
    """What it means that a trained replica has no value."""
    undefined_better: Literal[-1, 0] = 0
    """-1: no value is worse than any."""

    def transform(self, value: float) -> float:
        """The raw value on the metric's scale. Raises ValueError for log of nothing positive."""
        return math.log(value) if self.scale == "log" else value

    def change(self, baseline: float, value: float) -> float:
        """The change from ``baseline`` to ``value``, both raw, on the metric's scale."""
        return self.transform(value) - self.transform(baseline)

    @property
    def resolution(self) -> float:
        """The least variance of a value, or of a pair's difference, that is believed."""
        return (RESOLUTION * self.minimum_effect) ** 2

    def floor(self, mean: Array) -> Array:
        """Smallest variance over seeds that is believed, whatever a few seeds show.

        Accuracy: e(1-e)/(2n), the seed-to-seed variance of a converged run with error e on n images
        (Jordan 2024, for small e); runs that are cut short vary more, and no training varies
        less. Other metrics: their resolution.
        """
        if self.name != "test_accuracy":
            return np.full(np.shape(mean), self.resolution)
        share = np.clip(np.nan_to_num(mean, nan=0.5), 0.0, 1.0)
        return np.maximum(share * (1 - share) / (2 * TEST_IMAGES), self.resolution)

    def describe_change(self, change: float) -> str:
        """A change on the metric's scale as people write it: ``-1.20 pp`` or ``x 0.500``."""
        if self.scale == "log":
            return f"x {math.exp(min(change, 700.0)):.4g}"
        return f"{100 * change:+.2f} pp"

    def describe_margin(self) -> str:
        """The minimum effect as people write it: ``0.50 pp`` or ``a factor of 2``."""
        if self.scale == "log":
            return f"a factor of {math.exp(self.minimum_effect):.4g}"
        return f"{100 * self.minimum_effect:.2f} pp"

    def describe(self, value: float | None) -> str:
        """A raw value as people write it."""
        if value is None:
            return "not defined"
        return f"{value:.4f}" if self.scale == "linear" else f"{value:.4g}"


def _positive(value: float | None) -> float | None:
    """``value`` if it has a logarithm."""
    return value if value is not None and value > 0 else None


def _test_accuracy(record: Record) -> float | None:
    return record.test_accuracy


def _test_loss(record: Record) -> float | None:
    return _positive(record.test_loss)


def steps_to_level(trajectory: bytes, level: float) -> float | None:
    """The first step, counted from 1, at which the mean of the last LOSS_WINDOW losses is at or below
    ``level``; None if there is none. A loss that is NaN or infinite is at no level.

    Args:
        trajectory: losses, little-endian float32.
        level: of the loss.
    """
    if len(trajectory) < 4 * LOSS_WINDOW:
        return None
    losses = np.frombuffer(trajectory, "<f4").astype(float)
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.lib.stride_tricks.sliding_window_view(losses, LOSS_WINDOW).mean(axis=1)
        reached = np.flatnonzero(means <= level)
    return float(reached[0] + LOSS_WINDOW) if reached.size else None


def _steps_to_half(record: Record) -> float | None:
    if record.cell.model:  # nobody knows what guessing costs it
        return None
    return steps_to_level(record.trajectory, HALF_OF_GUESSING[record.cell.loss])


#: Half the loss of a network that gives each of ten digits the same score: ln 10 for cross-entropy,
#: and .1 x .9 for the mean over ten outputs of the squared error of .1 against one-hot labels.
HALF_OF_GUESSING = {"crossentropy": math.log(10) / 2, "mse": 0.09 / 2}


def _at_start(get: Callable[[Flow], float | None]) -> Callable[[Record], float | None]:
    return lambda record: get(record.start) if record.start is not None else None


def _at_end(get: Callable[[Flow], float | None]) -> Callable[[Record], float | None]:
    return lambda record: get(record.end) if record.end is not None else None


def _signal_ratio(flow: Flow) -> float | None:
    return _positive(flow.signal_ratio)


def _kernel_ratio(flow: Flow) -> float | None:
    return _positive(flow.kernel_ratio)


def _dead_share(flow: Flow) -> float | None:
    return flow.dead_share


_WHY_START = (
    "Both sides start from the same weights and batch, so only rounding differs: 6e-8 an operation "
    "in float32 and 4e-3 in bfloat16, averaged over hundreds of entries; beyond 1 % a formula or a "
    "default changed (a leaky ReLU's slope a of .2 for .3 is 5 % a layer: the gradient's variance "
    "goes with (1 + a^2)/2, He et al. 2015)."
)

METRICS: tuple[Metric, ...] = (
    Metric(
        name="test_accuracy",
        title="test accuracy",
        unit="share of test images",
        get=_test_accuracy,
        scale="linear",
        better=1,
        minimum_effect=0.005,
        paired=False,
        why="Half a point is 2.5 times the seed-to-seed standard deviation sqrt(e/(2n)) of a "
        "converged run (Jordan 2024) at e = 8 % error on n = 10,000 images, .2 points, so a lucky "
        "seed alone rarely reaches it, and it is one error in sixteen.",
    ),
    Metric(
        name="test_loss",
        title="test loss",
        unit="",
        get=_test_loss,
        scale="log",
        better=-1,
        minimum_effect=math.log(1.25),
        paired=False,
        why="At the lowest error of these networks, 2 %, the accuracy's half point is a quarter of all "
        "errors; the loss may grow as much before it says what accuracy does not, that a network "
        "became too sure of itself (Guo et al. 2017).",
    ),
    Metric(
        name="steps_to_half_loss",
        title="steps to half the loss of guessing",
        unit="steps",
        get=_steps_to_half,
        scale="log",
        better=-1,
        minimum_effect=math.log(1.25),
        paired=False,
        undefined="does not get there in the first steps",
        undefined_better=-1,
        why="In the limit of small steps (gradient flow) time is steps times the learning rate, so a "
        "factor in steps is a factor in the effective rate. Times to a quality vary by 5 to 10 % "
        "between runs of one system (Mattson et al. 2020, section 3.2), and the running mean is as "
        "sharp as one step in ten: a quarter is beyond both.",
    ),
    Metric(
        name="signal_ratio_start",
        title="signal ratio, first step",
        unit="",
        get=_at_start(_signal_ratio),
        scale="log",
        better=0,
        minimum_effect=math.log(1.01),
        paired=True,
        why=_WHY_START,
    ),
    Metric(
        name="kernel_ratio_start",
        title="kernel gradient ratio, first step",
        unit="",
        get=_at_start(_kernel_ratio),
        scale="log",
        better=0,
        minimum_effect=math.log(1.01),
        paired=True,
        why=_WHY_START,
    ),
    Metric(
        name="signal_ratio_end",
        title="signal ratio, trained",
        unit="",
        get=_at_end(_signal_ratio),
        scale="log",
        better=0,
        minimum_effect=math.log(2.0),
        paired=False,
        why="Training re-equilibrates gradients (Yang et al. 2019), and a trained network's ratio "
        "differs from seed to seed by tens of percent; a factor of two over all layers is beyond "
        "that and still little against vanishing (a sigmoid's slope is at most 1/4: at unit weight "
        "variance a factor of 16 in each layer).",
    ),
    Metric(
        name="dead_share_end",
        title="dead units, trained",
        unit="share of hidden units",
        get=_at_end(_dead_share),
        scale="linear",
        better=-1,
        minimum_effect=0.05,
        paired=False,
        why="Five of a layer's hundred units; a count k of independent units has a standard "
        "deviation of at most sqrt(k) (binomial), 2 to 3 units at a share of 5 to 10 % in one layer.",
    ),
)

BY_NAME = {metric.name: metric for metric in METRICS}
