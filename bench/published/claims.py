"""Claims of the originals, held against trials.

A claim holds, is contradicted, or cannot be judged; then the evidence says why. What TensorFlow must
fulfil whatever the original's author did is *binding*: zeros that stay zero, clipping, the gradients of
a program that NumPy replays, learning at all, and two forms of one program that start alike. The rest
is what somebody found once, often with one seed: if it does not hold with the exact recipe, that is a
finding about the original and no failure of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.published.agreement import AGREEMENT
from bench.published.claim import Claim
from bench.published.learning import LEARNING
from bench.published.mechanisms import MECHANISMS
from bench.results.trial import Trial, TrialResult

#: Experiment, form and name.
FindingName = tuple[str, str, str]

#: All claims, experiment by experiment.
CLAIMS: tuple[Claim, ...] = tuple(
    sorted((*MECHANISMS, *LEARNING, *AGREEMENT), key=lambda claim: claim.experiment)
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a claim in one form."""

    experiment: str
    form: str
    """``keras``, ``session``, or ``both`` where the forms are compared."""
    name: str
    """Name such as ``zeros-stay-zero``, unique in its experiment."""
    statement: str
    """Statement that must hold, with its source."""
    holds: bool | None
    """Whether the statement holds; None if it cannot be judged."""
    binding: bool
    """Whether a run in which it does not hold fails."""
    evidence: str
    """Measurement and its bound, or why it cannot be judged."""

    @property
    def fails(self) -> bool:
        """Whether a run fails for it."""
        return self.binding and self.holds is False


def findings(results: Sequence[TrialResult]) -> list[Finding]:
    """All findings that these results allow: one for each of :func:`names` of their trials."""
    return [
        Finding(
            experiment=claim.experiment,
            form=form,
            name=claim.name,
            statement=claim.statement,
            holds=holds,
            binding=claim.binding,
            evidence=evidence,
        )
        for claim, form in _judged([result.trial for result in results])
        for holds, evidence in [claim.verdict(form, results)]
    ]


def names(trials: Sequence[Trial]) -> list[FindingName]:
    """Experiment, form and name of each finding that these trials will give, known before they run."""
    return [(claim.experiment, form, claim.name) for claim, form in _judged(trials)]


def _judged(trials: Sequence[Trial]) -> list[tuple[Claim, str]]:
    """Claims, and the forms in which these trials let them be judged."""
    return [(claim, form) for claim in CLAIMS for form in claim.forms(trials)]
