"""Clipping checks: TensorFlow holds, and a fault of 1 part in 10^4 in any threshold shows."""

from __future__ import annotations

import numpy as np
import pytest

from bench.checks import clipping as family
from bench.checks.lab import Lab
from bench.nets import updates
from bench.results.check import result

CHECKS = family.checks("quick")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.subject)
def test_tensorflow_holds(lab: Lab, check) -> None:
    """Every rule, as an operation and as an optimizer's argument, eagerly and in a graph."""
    found = result(check, family.run(check, lab))
    assert not found.fails, found.reason


@pytest.mark.parametrize("fault", [0.9999, 1.0001])
@pytest.mark.parametrize("way", family.WAYS)
@pytest.mark.parametrize("rule", family.RULES)
def test_a_threshold_off_by_one_in_ten_thousand_shows(lab: Lab, rule, way, fault) -> None:
    """At least ten times the bound."""
    found = list(family.compared(rule, way, "finite", 0, lab, graph=False, fault=fault))
    assert max(np.inf if one.excess is None else one.excess for one in found) > 10.0


def test_ids_are_unique_and_select_nothing_by_accident() -> None:
    """No character that pytest's -k or a shell would read as its own."""
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids) == 3 * 2 * 4 * 2
    assert not [id_ for id_ in ids if set(id_) & set(" ,=[]()")]


@pytest.mark.parametrize("rule", family.RULES)
def test_sizes_are_what_they_say(rule) -> None:
    """Just below and just above lie on either side of the threshold, by float32's own numbers; the
    largest entry of a rounded gradient is off by 2^-24 of itself, its norm by less."""
    for case, gradients in family.cases(rule, "finite", 3).items():
        wide = [gradient.astype(np.float64).ravel() for gradient in gradients]
        if rule == "value":
            sizes = [float(np.max(np.abs(gradient))) for gradient in wide]
        elif rule == "norm":
            sizes = [float(np.linalg.norm(gradient)) for gradient in wide]
        else:
            sizes = [float(np.linalg.norm(np.concatenate(wide)))]
        if case in family.SIZES:
            expected = family.THRESHOLD * family.SIZES[case]
            assert sizes == pytest.approx([expected] * len(sizes), rel=2.0**-24)


def test_a_rule_that_ignores_its_neighbours_shows(lab: Lab, monkeypatch) -> None:
    """Clipping each gradient alone is not clipping by the global norm."""
    plain = updates.clip

    def alone(rule, gradients, threshold, *, graph):
        return plain("norm", gradients, threshold, graph=graph)

    monkeypatch.setattr(updates, "clip", alone)
    (check,) = [
        check
        for check in CHECKS
        if check.subject == "global_norm-by:op-gradient:finite-engine:eager"
    ]
    assert result(check, family.run(check, lab)).fails


@pytest.mark.parametrize("kind", family.SPECIAL)
@pytest.mark.parametrize("rule", family.RULES)
def test_silently_dropping_what_is_not_finite_shows(lab: Lab, rule, kind, monkeypatch) -> None:
    """Gradients that TensorFlow would set to 0.3, the threshold, where a NaN or 0 is due."""

    def flat(rule, gradients, threshold, *, graph):
        return [np.full_like(gradient, threshold) for gradient in gradients]

    monkeypatch.setattr(updates, "clip", flat)
    found = result(CHECKS[0], family.compared(rule, "op", kind, 0, lab, graph=False))
    assert found.deviations


def test_seeds_vary_the_gradients() -> None:
    """Repeatably."""
    zero, one, again = (family.cases("norm", "finite", seed)["at"][0] for seed in (0, 1, 0))
    assert np.array_equal(zero, again)
    assert np.all(zero != one)
