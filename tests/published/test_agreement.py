"""Both forms agree: holds, is violated, is silent; the level when forms are unrelated seeds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from bench.published.claims import Finding, findings
from bench.published.experiments import P1
from bench.results.trial import Curve, Form, TrialResult
from support.trials import crashed, ended, result, trial

START, END = "forms-start-alike", "forms-end-alike"


def found(results: Sequence[TrialResult], name: str) -> Finding:
    (one,) = [each for each in findings(results) if each.name == name]
    assert one.form == "both"
    return one


def p3(
    form: Form, accuracies: Sequence[float], losses: Sequence[float], *, tier: str = "full"
) -> list[TrialResult]:
    return [
        ended(trial("P3", "batch norm", seed=seed, form=form, tier=tier), accuracy, first_loss=loss)
        for seed, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True))
    ]


KERAS = p3("keras", (0.964, 0.9652, 0.963, 0.9637, 0.9645), (0.51, 0.53, 0.5, 0.52, 0.515))


def test_alike() -> None:
    """Rounding apart, a seed's two forms start alike, and end like two seeds."""
    results = [*KERAS, *p3("session", (0.9652, 0.963), (0.5100001, 0.5299999))]
    assert found(results, START).holds
    assert found(results, START).binding
    assert found(results, END).holds
    assert not found(results, END).binding


def test_apart() -> None:
    """Another program under the session is found out: at first, which fails, and at the end."""
    results = [*KERAS, *p3("session", (0.91, 0.9), (1.4, 1.5))]
    assert found(results, START).fails
    one = found(results, END)
    assert one.holds is False
    assert not one.fails
    assert "'batch norm'" in one.evidence


def test_reduced() -> None:
    """Few steps of one form are like few steps of the other."""
    keras = p3("keras", (0.8, 0.81, 0.79), (0.51, 0.53, 0.5), tier="quick")
    session = p3("session", (0.805,), (0.51,), tier="quick")
    assert found([*keras, *session], START).holds
    assert found([*keras, *session], END).holds


def test_one_form_diverges() -> None:
    """A seed that diverges in one form alone is no agreement, in both it is."""
    session = p3("session", (0.964, 0.9652), (0.51, 0.53))
    session[1] = msgspec.structs.replace(session[1], outcome="diverged")
    one = found([*KERAS, *session], END)
    assert one.holds is False
    assert one.evidence == "batch norm, seed 1: diverged in the session form alone"
    keras = [KERAS[0], msgspec.structs.replace(KERAS[1], outcome="diverged"), *KERAS[2:]]
    assert found([*keras, *session], END).holds


def test_divergence_of_some_seeds() -> None:
    """Where other seeds of one form diverge as well, a seed that does so in the other form, or not,
    says nothing of the forms."""
    keras = [*KERAS[:2], msgspec.structs.replace(KERAS[2], outcome="diverged"), *KERAS[3:]]
    session = p3("session", (0.964, 0.9652), (0.51, 0.53))
    session[1] = msgspec.structs.replace(session[1], outcome="diverged")
    assert found([*keras, *session], END).holds


def test_silent() -> None:
    """Too few seeds, a crash, a form that is absent: nothing is said."""
    session = p3("session", (0.964,), (0.51,))
    assert found([KERAS[0], *session], END).holds is None
    assert found([*KERAS, crashed(session[0].trial)], START).holds is None
    absent = TrialResult(trial=session[0].trial, outcome="absent", absent="no compat.v1 sessions")
    one = found([*KERAS, absent], START)
    assert one.holds is None
    assert one.evidence == "session form: no compat.v1 sessions"


def test_one_form_alone() -> None:
    """Without the other form there is nothing to compare."""
    assert not [each for each in findings(KERAS) if each.form == "both"]


def test_dead_networks() -> None:
    """Networks that name one class each are alike, whichever class it is."""
    keras = [ended(trial("P5", "hidden layer, zeros", seed=seed), 0.1135) for seed in range(5)]
    session = [ended(trial("P5", "hidden layer, zeros", form="session"), 0.1028)]
    one = found([*keras, *session], END)
    assert one.holds is None
    learned = [ended(trial("P5", "hidden layer, zeros", form="session"), 0.9)]
    assert found([*keras, *learned], END).holds is False


@pytest.mark.slow
def test_last_loss() -> None:
    """P1 has no test images: its last losses are compared."""
    results = []
    for form, factor in (("keras", 1.0), ("session", 1.0)):
        for seed in range(5):
            for variant in P1.variants:
                own = trial("P1", variant, seed=seed, form=form)
                losses = [0.3 + 0.01 * seed] * (len(own.looks) - 1)
                losses[-1] *= factor
                results.append(result(own, curves={"loss": Curve(list(own.looks[1:]), losses)}))
    assert found(results, END).holds
    changed = [
        msgspec.structs.replace(
            each,
            curves={
                "loss": Curve(each.curves["loss"].steps, [*each.curves["loss"].values[:-1], 3.0])
            },
        )
        if each.trial.form == "session"
        else each
        for each in results
    ]
    assert found(changed, END).holds is False
    assert found(changed, START).holds


def test_level() -> None:
    """Even forms that share nothing, as unrelated seeds, are called apart with a probability of .01 at
    most: within four standard deviations."""
    outcomes = []
    for start in range(300):
        random = np.random.default_rng(start)
        keras = p3("keras", list(random.normal(0.96, 0.001, 5)), [0.5] * 5)
        session = p3("session", list(random.normal(0.96, 0.001, 2)), [0.5] * 2)
        outcomes.append(found([*keras, *session], END).holds)
    assert outcomes.count(None) == 0
    assert outcomes.count(False) <= 300 * 0.01 + 4 * np.sqrt(300 * 0.01)
