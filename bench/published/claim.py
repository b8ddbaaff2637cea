"""Claim: a statement of an original, and what it needs of trials before it can be judged."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bench.errors import count
from bench.mnist import MNIST_FINGERPRINT
from bench.published.experiments import EXPERIMENTS
from bench.results.trial import FORMS, Trial, TrialResult
from bench.theory.claims import MNIST_TEST_COUNTS

#: Whether a claim holds (None: undecided), and what was measured against what bound.
Verdict = tuple[bool | None, str]

#: Trials by variant, in the order of seeds.
Runs = Mapping[str, Sequence[TrialResult]]

_ACCURACY = "test accuracy"

#: Form of a finding that compares both forms.
BOTH = "both"

TEST_IMAGES = sum(MNIST_TEST_COUNTS)

#: Chance per trial that a network which does not see its input is called learning.
BLIND = 1e-6


def _beyond_chance() -> int:
    """The fewest right answers that blind guessing gives with a probability of at most BLIND.

    Whatever is guessed, an answer that does not depend on the image is right with the probability of
    a class, at most that of the commonest, 1135/10,000. The sum of independent answers that are right
    with no more than this is stochastically no larger than a binomial one.
    """
    counts = np.arange(TEST_IMAGES)
    chances = special.bdtrc(counts - 1, TEST_IMAGES, max(MNIST_TEST_COUNTS) / TEST_IMAGES)
    return int(counts[(chances <= BLIND) & (counts > 0)][0])


#: Accuracy from which on a network has learned something.
BEYOND_CHANCE = _beyond_chance() / TEST_IMAGES


@dataclass(frozen=True)
class Claim:
    """A statement on one experiment.

    Args:
        experiment: ``P1`` to ``P7``.
        name: name in reports and test ids.
        statement: statement that must hold, with its source.
        variants: variants that it compares; all of the experiment if there are none.
        judge: its verdict on trials, none of them crashed.
        binding: whether TensorFlow must fulfil it, so that a run fails that does not.
        whole: whether it speaks of trainings of the published length alone.
        accuracy: whether it speaks of accuracy on MNIST, not of gradients or of any images.
        form: ``both``, if it compares forms.
        seeds: least number of seeds that a form is planned with; a single one stands for the
            comparison of forms.
    """

    experiment: str
    name: str
    statement: str
    variants: tuple[str, ...]
    judge: Callable[[Runs], Verdict]
    binding: bool = False
    whole: bool = False
    accuracy: bool = True
    form: str = ""
    seeds: int = 1

    def forms(self, trials: Sequence[Trial]) -> list[str]:
        """Forms of which these trials have all that it compares."""
        of_experiment = [trial for trial in trials if trial.experiment == self.experiment]
        if self.form == BOTH:
            return [BOTH] if _in_both(of_experiment) else []
        return [form for form in FORMS if self._planned(form, of_experiment)]

    def _planned(self, form: str, trials: Sequence[Trial]) -> bool:
        runs = {(trial.variant, trial.seed) for trial in trials if trial.form == form}
        seeds = collections.Counter(variant for variant, _ in runs)
        return bool(seeds) and all(seeds[variant] >= self.seeds for variant in self.variants)

    def verdict(self, form: str, results: Sequence[TrialResult]) -> Verdict:
        """Its verdict on the results, in one of :meth:`forms`.

        A trial that crashed leaves it undecided, unless the others contradict it already.
        """
        compared = self._compared(form, results)
        obstacle = self._obstacle(compared)
        if obstacle:
            return None, obstacle
        runs = _by_variant([result for result in compared if result.outcome != "crashed"])
        crashed = [result.trial.id for result in compared if result.outcome == "crashed"]
        if not runs or any(variant not in runs for variant in self.variants):
            return None, _listed(crashed) or "no trial was measured"
        holds, evidence = self.judge(runs)
        if crashed and holds is not False:
            return None, f"{_listed(crashed)}; of the others: {evidence}"
        return holds, evidence

    def _compared(self, form: str, results: Sequence[TrialResult]) -> list[TrialResult]:
        trials = [result.trial for result in results if result.trial.experiment == self.experiment]
        variants = set(self.variants) or {trial.variant for trial in trials}
        if form == BOTH:
            variants = _in_both(trials)
        return [
            result
            for result in results
            if result.trial.experiment == self.experiment
            and form in (BOTH, result.trial.form)
            and result.trial.variant in variants
        ]

    def _obstacle(self, results: Sequence[TrialResult]) -> str:
        """Reason why these trials cannot be held against it; empty if they can."""
        experiment = EXPERIMENTS[self.experiment]
        for result in results:
            trial = result.trial
            if result.outcome == "absent":
                return f"{trial.form} form: {result.absent}"
            if self.whole and not experiment.whole(trial):
                steps = experiment.variants[trial.variant].steps
                return f"ran {trial.recipe.steps:,} of {steps:,} steps"
            if self.accuracy and result.outcome != "crashed" and result.data != MNIST_FINGERPRINT:
                return "trained on other images than MNIST's"
            if self.accuracy and result.outcome == "trained" and _ACCURACY not in result.curves:
                return f"{trial.id} has no test accuracy"
        return ""


def _listed(crashed: Sequence[str]) -> str:
    if not crashed:
        return ""
    return f"crashed: {crashed[0]}" + (f" and {len(crashed) - 1} more" if len(crashed) > 1 else "")


def _in_both(trials: Sequence[Trial]) -> set[str]:
    """Variants that have trials in both forms."""
    of_forms = ({trial.variant for trial in trials if trial.form == form} for form in FORMS)
    return set.intersection(*of_forms)


def _by_variant(results: Sequence[TrialResult]) -> dict[str, list[TrialResult]]:
    """Results of each variant in the order of seeds."""
    runs: dict[str, list[TrialResult]] = {}
    for result in sorted(results, key=lambda result: result.trial.seed):
        runs.setdefault(result.trial.variant, []).append(result)
    return runs


def accuracy(result: TrialResult) -> float:
    """Final accuracy on the test images; 0 if training diverged or its outputs are not finite."""
    return result.final(_ACCURACY) or 0.0 if result.outcome == "trained" else 0.0


def every_seed_learns(runs: Runs) -> Verdict:
    """Whether each trial ends beyond what chance gives."""
    everything = [result for results in runs.values() for result in results]
    worst = min(everything, key=accuracy)
    diverged = sum(result.outcome == "diverged" for result in everything)
    return (
        accuracy(worst) >= BEYOND_CHANCE,
        f"lowest test accuracy {accuracy(worst):.4f} ({worst.trial.variant}, seed "
        f"{worst.trial.seed}) of {count(len(everything), 'trial')}, {diverged} diverged; blind "
        f"guessing reaches {BEYOND_CHANCE:.4f} with probability {BLIND:g}",
    )


def missing(quantity: str, result: TrialResult) -> Verdict:
    """Verdict on a claim that speaks of a quantity which a trial does not have."""
    return None, f"{result.trial.id} has no {quantity}"
