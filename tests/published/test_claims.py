"""Findings of whole tiers: their names are known before, and nothing that is missing passes."""

from __future__ import annotations

import re

import msgspec
import pytest

from bench.published.claims import CLAIMS, findings, names
from bench.published.experiments import EXPERIMENTS, trials
from bench.results.trial import TrialResult
from support.trials import crashed, ended, result

TIERS = ("quick", "standard", "full")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.slow
def test_names_are_known_before(tier: str) -> None:
    """The findings of a tier's results are those that its trials promise, whatever came of them."""
    planned = trials(tier)
    promised = names(planned)
    assert len(promised) > 20
    assert len(set(promised)) == len(promised)
    for results in ([crashed(each) for each in planned], [ended(each, 0.9) for each in planned]):
        assert [(one.experiment, one.form, one.name) for one in findings(results)] == promised


@pytest.mark.parametrize("tier", TIERS)
def test_crashes_say_nothing(tier: str) -> None:
    """If all trials crashed, no claim holds and none is contradicted; the first is named."""
    for one in findings([crashed(each) for each in trials(tier)]):
        assert one.holds is None
        assert "crashed: P" in one.evidence or re.match(r"ran [\d,]+ of", one.evidence)


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_measured_says_nothing(tier: str) -> None:
    """Trials that were trained but measured nothing make no claim hold, and none that binds fail."""
    for one in findings([result(each) for each in trials(tier)]):
        assert one.holds is None, one


def test_other_images() -> None:
    """What is stated of MNIST is not held against other images; zeros and clipping are."""
    results = [
        msgspec.structs.replace(ended(each, 0.9), data="0123") for each in trials("quick", ["P5"])
    ]
    holds = {one.name: one for one in findings(results) if one.form == "keras"}
    assert holds["small-uniform-learns"].evidence == "trained on other images than MNIST's"
    assert holds["zeros-stay-zero"].evidence.endswith("has no largest norm w1")


def test_absent_form() -> None:
    """A form that this TensorFlow does not have is no failure, and the other is judged."""
    results = [
        TrialResult(trial=each, outcome="absent", absent="no sessions")
        if each.form == "session"
        else ended(each, 0.92)
        for each in trials("quick", ["P5"])
    ]
    for one in findings(results):
        if one.form == "keras" and one.name == "small-uniform-learns":
            assert one.holds
        elif one.form != "keras":
            assert (one.holds, one.evidence) == (None, "session form: no sessions")


def test_every_experiment_has_binding_and_other_claims() -> None:
    """Claims are of existing experiments and variants, with names that fit test ids, unique in their
    experiment; each statement is a sentence."""
    assert {claim.experiment for claim in CLAIMS} == EXPERIMENTS.keys()
    for claim in CLAIMS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.name)
        assert claim.statement.endswith((".", "?"))
        assert EXPERIMENTS[claim.experiment].variants.keys() >= set(claim.variants)
    assert len({(claim.experiment, claim.name) for claim in CLAIMS}) == len(CLAIMS)


def test_no_trials() -> None:
    """No trials promise nothing."""
    assert names([]) == []
    assert findings([]) == []
