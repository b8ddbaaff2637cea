"""Synthetic results of the published experiments' trials: made up, small, and the same each time."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.mnist import MNIST_FINGERPRINT
from bench.published.experiments import EXPERIMENTS
from bench.results.kind import Crash
from bench.results.trial import Curve, Form, Trial, TrialResult


def trial(
    experiment: str, variant: str, *, seed: int = 0, form: Form = "keras", tier: str = "full"
) -> Trial:
    """As the tier plans it; seeds and forms that it does not plan, too."""
    return msgspec.structs.replace(_planned(experiment, tier)[variant], seed=seed, form=form)


@functools.cache
def _planned(experiment: str, tier: str) -> Mapping[str, Trial]:
    return {each.variant: each for each in EXPERIMENTS[experiment].trials(tier) if each.seed == 0}


def result(of: Trial, **changes: Any) -> TrialResult:
    """A trained one, on MNIST."""
    return TrialResult(**{"trial": of, "outcome": "trained", "data": MNIST_FINGERPRINT, **changes})


def ended(of: Trial, accuracy: float, *, first_loss: float = 2.0, **changes: Any) -> TrialResult:
    """Trained to a test accuracy, which it has from its first look behind step 0 on."""
    looks = list(of.looks)
    curves = {
        "test accuracy": Curve(looks, [0.1, *[accuracy] * (len(looks) - 1)]),
        "loss": Curve(looks[1:], [first_loss, *[first_loss / 2] * (len(looks) - 2)]),
        **changes.pop("curves", {}),
    }
    return result(of, curves=curves, **changes)


def crashed(of: Trial) -> TrialResult:
    """A trial that ended with a signal."""
    crash = Crash(reason="signal", message="killed by SIGSEGV")
    return TrialResult(trial=of, outcome="crashed", crash=crash)


def variant_results(
    experiment: str,
    accuracies: Mapping[str, Sequence[float]],
    *,
    form: Form = "keras",
    tier: str = "full",
) -> list[TrialResult]:
    """By variant, the final accuracy of each seed."""
    return [
        ended(trial(experiment, variant, seed=seed, form=form, tier=tier), value)
        for variant, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
