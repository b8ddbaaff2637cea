"""Optimizer checks: TensorFlow holds, and a fault of 1 part in 10^4 in any constant shows."""

from __future__ import annotations

import numpy as np
import pytest

from bench.checks import optimizer as family
from bench.checks.lab import AbsentError, Lab
from bench.nets import updates
from bench.nets.keras_version import keras_generation
from bench.results.check import Check, result
from bench.theory.oracle import optimizers as oracle

KERAS = keras_generation()
#: Keras 2 multiplies Nadam's product of decays once per variable where a graph is traced, not once
#: per step: a defect, which Keras 3 has not.
DEFECTS = [f"nadam{given}-engine:graph" for given in ("", "-constants:default")]
CHECKS = family.checks("quick")
GRAPH = "-engine:graph"


def pairs() -> list[tuple[str, str]]:
    """Every constant of every optimizer, in the first check that is given it."""
    found: dict[tuple[str, str], str] = {}
    for subject, setup in family.SETUPS.items():
        if not subject.endswith("constants:default"):
            for constant, value in setup.constants.items():
                if not isinstance(value, bool):
                    found.setdefault((setup.name, constant), subject)
    return [(subject, constant) for (_, constant), subject in found.items()]


def test_every_constant_of_every_optimizer_is_checked() -> None:
    """Those that are numbers: none is only at a default that might be 0."""
    checked = {(family.SETUPS[subject].name, constant) for subject, constant in pairs()}
    for name, constants in oracle.DEFAULTS[3].items():
        for constant, value in constants.items():
            assert isinstance(value, bool) or (name, constant) in checked
    for shared in ("weight_decay", "ema_momentum", "clipvalue", "clipnorm", "global_clipnorm"):
        assert ("sgd", shared) in checked
        assert ("adam", shared) in checked


def test_ids_are_unique_and_select_nothing_by_accident() -> None:
    """No character that pytest's -k or a shell would read as its own."""
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids) > 80
    assert not [id_ for id_ in ids if set(id_) & set(" ,=[]()")]


def once_in_a_graph() -> list[Check]:
    """All checks, but of those in a graph one per optimizer: the suites run them all."""
    plain = {f"{setup.name}{GRAPH}" for setup in family.SETUPS.values()}
    assert plain <= {check.subject for check in CHECKS}
    return [
        check
        for check in CHECKS
        if not check.subject.endswith(GRAPH) or check.subject in (*plain, *DEFECTS)
    ]


@pytest.mark.parametrize("check", once_in_a_graph(), ids=lambda check: check.subject)
def test_tensorflow_holds(lab: Lab, check) -> None:
    """Every check, except the known defect, which must be found."""
    try:
        found = result(check, family.run(check, lab))
    except AbsentError as absent:
        pytest.skip(str(absent))
    if KERAS == 2 and check.subject in DEFECTS:
        assert found.fails
        assert found.deviations[0].tensor == "step 1, cube"  # the third of five: after the 2nd call
    else:
        assert not found.fails, found.reason


@pytest.mark.parametrize(("subject", "constant"), pairs())
def test_a_fault_of_one_in_ten_thousand_shows(lab: Lab, subject, constant) -> None:
    """In any constant, with some margin: at least twice the bound."""
    setup = family.SETUPS[subject]
    faults = {constant: 1.0001}
    try:
        found = list(family.compared(setup, 0, lab, graph=False, faults=faults))
    except AbsentError as absent:
        pytest.skip(str(absent))
    assert max(np.inf if one.excess is None else one.excess for one in found) > 2.0


def test_a_changed_default_shows(lab: Lab, monkeypatch) -> None:
    """By as little as 1 part in 10^4, with its name."""
    wrong = {name: dict(updates.defaults(name)) for name in updates.CLASSES if updates.has(name)}
    wrong["adam"]["beta_1"] *= 1.0001
    monkeypatch.setattr(updates, "defaults", wrong.__getitem__)
    (check,) = [check for check in CHECKS if check.subject == "defaults"]
    found = result(check, family.run(check, lab))
    assert [one.tensor for one in found.deviations] == ["Adam, default of beta_1"]


def test_an_optimizer_that_is_not_there_is_absent(lab: Lab, monkeypatch) -> None:
    """The message names the version."""
    monkeypatch.setattr(updates, "has", lambda name: False)
    (check,) = [check for check in CHECKS if check.subject == "lamb-engine:eager"]
    with pytest.raises(AbsentError, match=r"Keras \d+\.\d+\.\d+ has no optimizer Lamb"):
        list(family.run(check, lab))


def test_seeds_vary_the_inputs() -> None:
    """Values and gradients of two seeds differ in every entry that is not 0, and are repeatable."""
    values = [family.starting_values(seed)[0] for seed in (0, 1, 0)]
    gradients = [family.gradient_sequence(seed)[-1][0] for seed in (0, 1, 0)]
    for zero, one, again in (values, gradients):
        assert np.array_equal(zero, again)
        assert np.all((zero != one) | (zero == 0.0))
        assert np.any(zero)


def test_gradients_reach_from_below_to_above_every_epsilon() -> None:
    """Of each variable but the scalar, whatever the seed; entries of zeros and not."""
    for gradients in family.gradient_sequence(5):
        for gradient in gradients[:-1]:
            sizes = np.abs(gradient[gradient != 0.0])
            assert sizes.min() < 2e-5
            assert sizes.max() > 5.0
