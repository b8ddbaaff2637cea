"""Which figures the published experiments have; nothing of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.published.experiments import EXPERIMENTS
from bench.report.figures.picture import Picture
from bench.report.published.gradients import norms, weights
from bench.report.published.learning import notebook, scales, zeros
from bench.report.published.remedies import reach_and_dead
from bench.results.trial import TrialResult

_BUILDERS: Mapping[str, Callable[[Sequence[TrialResult]], Sequence[Picture | None]]] = {
    "P1": weights,
    "P2": scales,
    "P3": notebook("P3"),
    "P4": notebook("P4"),
    "P5": zeros,
    "P6": norms,
    "P7": reach_and_dead,
}


def pictures(results: Sequence[TrialResult]) -> dict[str, Picture]:
    """All figures of which there is something to draw, by path: ``figures/published-p1-weights.svg``.

    Crashed trials, and those that this TensorFlow cannot train, have nothing to draw.
    """
    trained = [result for result in results if result.outcome in ("trained", "diverged")]
    found: list[Picture] = []
    for name in EXPERIMENTS:
        own = [result for result in trained if result.trial.experiment == name]
        found += (picture for picture in _BUILDERS[name](own) if picture is not None)
    return {picture.path: picture for picture in found}
