"""Contracts as checks: listed without TensorFlow, tested with it, and planted faults that they find."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from packaging.specifiers import SpecifierSet

from bench.checks.catalogue import catalogue_of, checks, module_of
from bench.checks.contracts.callbacks import RATE, SCRIPT, plateaus, stops
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.fault import TRIED, KnownFault
from bench.checks.contracts.known_faults import KNOWN_FAULTS, known
from bench.checks.contracts.linear import RATE as STEP
from bench.checks.contracts.linear import Replay, batches, data, drawn, mean
from bench.checks.contracts.page import page
from bench.checks.lab import AbsentError, Lab
from bench.results.check import CONTRACTS, Check, CheckResult, Deviation, result
from bench.theory.rounding.deviation import exact

LAB: Any = Lab(None, "cpu")  # type: ignore[arg-type]


def outcome_of(family: str, subject: str) -> CheckResult:
    """What comes of a contract."""
    check = Check(family=family, subject=subject)
    return result(check, importlib.import_module(module_of(family)).run(check, LAB))


def test_a_contract_has_an_id_without_a_precision() -> None:
    """Families and subjects, each once."""
    ids = [check.id for check in checks("full", CONTRACTS)]
    assert "loops:train_on_batch-returns:loss" in ids
    assert len(ids) == len(set(ids))


def test_the_page_is_made_from_the_code() -> None:
    """Where it is not: python -m bench.checks.contracts.page > docs/contracts.md."""
    written = Path(__file__).parents[3] / "docs" / "contracts.md"
    assert written.read_text() == page()


def test_an_entry_that_matches_nothing_is_to_be_removed() -> None:
    """Each pattern is of a contract, each range of tried versions, and no contract is known twice."""
    ids = [check.id for check in checks("full", CONTRACTS)]
    for fault in KNOWN_FAULTS:
        for pattern in fault.checks:
            assert any(map(KnownFault(checks=(pattern,), what="").breaks, ids)), pattern
        tried = [pair for pair in TRIED if fault.applies(tensorflow=pair[0], keras=pair[1])]
        assert tried or not fault.always, fault
    for tensorflow, keras in TRIED:
        faults = [fault for fault in KNOWN_FAULTS if fault.applies(keras, tensorflow)]
        for one in ids:
            assert sum(fault.breaks(one) for fault in faults) <= 1, (one, keras)


def test_ranges_end_in_tried_versions() -> None:
    """What was not tried between a broken version and a sound one is not said to be broken."""
    tried = {"tensorflow": {pair[0] for pair in TRIED}, "keras": {pair[1] for pair in TRIED}}
    for fault in KNOWN_FAULTS:
        for name, ranges in (("tensorflow", fault.tensorflow), ("keras", fault.keras)):
            ends = {one.version for text in ranges for one in SpecifierSet(text)}
            assert ends <= tried[name] or not fault.always, fault


def test_a_range_is_told_with_the_first_sound_version() -> None:
    """Of each stretch of tried versions."""
    one = KnownFault(checks=("x:y",), keras=("<=2.12.0", ">=3.0.2,<=3.13.2"), what="")
    assert one.versions == "keras 2.12.0, not 2.15.0; 3.0.2 to 3.13.2, not 3.14.0"
    other = KnownFault(checks=("x:y",), tensorflow=("==2.16.2",), what="")
    assert other.versions == "tensorflow 2.16.2, not 2.18.1"
    assert other.applies(keras="3.14.1", tensorflow="2.16.2")
    assert not other.applies(keras="3.14.1", tensorflow="2.21.0")


def test_a_known_fault_fails_no_run_and_one_that_is_gone_does() -> None:
    """What is wrong and known to be passes; what is known and right fails, so that the entry goes."""
    at = {"keras": "3.14.1", "tensorflow": "2.16.2"}
    check = "loops:train_on_batch-returns:loss"
    assert "#22596" in known(check, **at)
    assert known(check, keras="3.15.0", tensorflow="2.16.2") == known("losses:other", **at) == ""
    assert known("products:matmul-process", **at)
    assert not known("products:matmul-process", **at, wrong=False)
    wrong = [Deviation(tensor="loss", excess=2.0, evidence="got 2, expected 1")]
    bad = CheckResult(check=Check(family="metrics", subject="x"), compared=1, deviations=wrong)
    assert bad.fails
    assert not msgspec.structs.replace(bad, known="it is known").fails
    gone = CheckResult(check=bad.check, compared=1, known="it is known")
    assert gone.fails
    assert "mended: remove the entry" in gone.reason


def test_counterparts_name_each_other() -> None:
    """One of Keras 2 and one of Keras 3; what Keras 2 alone documents has one, or is gone."""
    for family in CONTRACTS:
        contracts = catalogue_of(family).contracts
        for contract in contracts.values():
            if contract.counterpart:
                other = contracts[contract.counterpart]
                assert other.counterpart == contract.subject
                assert sorted(contract.keras + other.keras) == [2, 3]


def test_tiers_grow() -> None:
    """A larger tier tests what a smaller one tests."""
    catalogue = Catalogue("loops")
    for tier in ("standard", "quick"):
        catalogue.contract(tier, thing="keras", truth="Holds.", tier=tier)(lambda _: iter(()))
    assert [check.subject for check in catalogue.checks("quick")] == ["quick"]
    assert [check.subject for check in catalogue.checks("full")] == ["standard", "quick"]
    with pytest.raises(ValueError, match="two contracts 'quick'"):
        catalogue.contract("quick", thing="keras", truth="Holds.")(lambda _: iter(()))


def test_what_this_keras_documents_otherwise_is_absent() -> None:
    """The check says so and compares nothing."""
    catalogue = Catalogue("loops")

    @catalogue.contract("of:1", thing="keras.Sequential", truth="Holds.", keras=(1,))
    def _(_: Lab) -> Iterator[Deviation]:
        yield exact("never", 1, np.array(1))

    with pytest.raises(AbsentError, match=r"documents keras\.Sequential otherwise"):
        list(catalogue.run(Check(family="loops", subject="of:1"), LAB))


def test_a_seed_draws_other_inputs() -> None:
    """Those of a check are of its seed; outside of one, and after it, of seed 0."""
    catalogue = Catalogue("loops")
    drawn_: list[Any] = []

    @catalogue.contract("of:any", thing="keras.Model", truth="Holds.")
    def _(_: Lab) -> Iterator[Deviation]:
        drawn_.append(drawn("inputs", 3))
        yield exact("nothing", 1, np.array(1))

    check = Check(family="loops", subject="of:any")
    for seed in (0, 1, 1):
        list(catalogue.run(msgspec.structs.replace(check, seed=seed), LAB))
    first, other, again = drawn_
    assert (first == drawn("inputs", 3)).all()
    assert (other == again).all()
    assert (other != first).all()


def test_the_replay_of_a_linear_model_follows_its_gradient() -> None:
    """A step of the replay against a central difference of its loss."""
    x, y = data(7)
    replay, before = Replay(), Replay()
    replay.step(x, y)
    nudge = 1e-6
    for at in np.ndindex(before.kernel.shape):
        losses = []
        for sign in (1, -1):
            moved = Replay()
            moved.kernel.value[at] += sign * nudge
            losses.append(float(moved.loss(x, y).value))
        slope = (losses[0] - losses[1]) / (2 * nudge)
        change = before.kernel.value[at] - replay.kernel.value[at]
        assert change == pytest.approx(STEP * slope, abs=1e-7)


def test_the_mean_over_batches_weights_them_by_their_size() -> None:
    """Whatever the batches, it is the mean over samples where nothing is trained."""
    x, y = data(23)
    replay = Replay()
    parts = [(replay.loss(x[part], y[part]), len(x[part])) for part in batches(23, 8)]
    assert float(mean(parts).value) == pytest.approx(float(replay.loss(x, y).value))


@pytest.mark.parametrize(
    ("losses", "rules", "expected"),
    [
        ((3, 2, 1), {"patience": 1}, (3, 3)),
        ((1, 2, 3, 4), {"patience": 2}, (3, 1)),
        ((1, 2, 0, 4, 5, 6), {"patience": 2}, (5, 3)),
        ((1.0, 0.9, 0.8, 0.7), {"patience": 2, "min_delta": 0.5}, (3, 1)),
    ],
)
def test_early_stopping_by_hand(losses: Any, rules: Any, expected: tuple[int, int]) -> None:
    """Epochs trained and the best of them, as one would count on paper."""
    assert stops(losses, **rules) == expected


def test_plateaus_by_hand() -> None:
    """Two epochs without improvement halve the rate; cooling down, none counts."""
    rules: Any = {"factor": 0.5, "patience": 2, "cooldown": 0, "min_lr": 0.0}
    assert plateaus((1, 1, 1, 1, 1), **rules) == [RATE, RATE, RATE / 2, RATE / 2, RATE / 4]
    assert plateaus((1, 1, 1, 1), **{**rules, "cooldown": 2})[-1] == RATE / 2
    assert plateaus(SCRIPT, **{**rules, "min_lr": RATE}) == [RATE] * len(SCRIPT)


# --- With TensorFlow


def _scaled(function: Callable[..., Any], factor: float = 1.001) -> Callable[..., Any]:
    def wrong(*arguments: Any, **options: Any) -> Any:
        returned = function(*arguments, **options)
        if isinstance(returned, dict):
            return {name: value * factor for name, value in returned.items()}
        return np.asarray(returned) * factor

    return wrong


@pytest.mark.parametrize(
    ("method", "subject"),
    [
        ("train_on_batch", "train_on_batch-returns:loss"),
        ("test_on_batch", "test_on_batch-returns:loss"),
        ("predict_on_batch", "predict_on_batch"),
        ("predict", "predict-order"),
        ("evaluate", "evaluate-returns"),
    ],
)
def test_a_wrong_return_is_found(
    method: str, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part in a thousand, in what a loop returns."""
    from bench.nets.api import keras

    assert not outcome_of("loops", subject).fails
    monkeypatch.setattr(keras.Model, method, _scaled(getattr(keras.Model, method)))
    assert outcome_of("loops", subject).fails


def test_a_running_mean_in_place_of_the_batch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras 3.0 to 3.14 return from train_on_batch (keras #22596)."""
    from bench.nets.api import keras

    losses: list[float] = []
    sound = keras.Model.train_on_batch

    def running(model: Any, *arguments: Any, **options: Any) -> Any:
        losses.append(float(np.asarray(sound(model, *arguments, **options))))
        return np.mean(losses)

    monkeypatch.setattr(keras.Model, "train_on_batch", running)
    found = outcome_of("loops", "train_on_batch-returns:loss")
    assert found.deviations[0].tensor == "call 1, loss"


def test_a_callback_that_keeps_its_state_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best loss of the first fit counts in the second, as in Keras 3.14."""
    from bench.nets.api import keras

    begin = keras.callbacks.EarlyStopping.on_train_begin

    def keep(self: Any, logs: Any = None) -> None:
        best = getattr(self, "best", None)
        begin(self, logs)
        self.best = best

    monkeypatch.setattr(keras.callbacks.EarlyStopping, "on_train_begin", keep)
    assert outcome_of("callbacks", "early_stopping-reused").fails


def test_off_by_one_patience_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch later than promised."""
    from bench.nets.api import keras

    made = keras.callbacks.EarlyStopping.__init__

    def late(self: Any, *arguments: Any, patience: int = 0, **options: Any) -> None:
        made(self, *arguments, patience=patience + 1, **options)

    monkeypatch.setattr(keras.callbacks.EarlyStopping, "__init__", late)
    assert outcome_of("callbacks", "early_stopping-patience:2").fails


def test_inputs_in_the_order_of_their_names_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras 3.4 makes of a dict for inputs in a list (keras #20036)."""
    from bench.nets.api import keras

    fit = keras.Model.fit

    def mixed(model: Any, x: Any, *arguments: Any, **options: Any) -> Any:
        joined = np.concatenate([x[name] for name in sorted(x)], axis=1)
        turned = {"wide": joined[:, :-1], "narrow": joined[:, -1:]}
        return fit(model, turned, *arguments, **options)

    assert not outcome_of("models", "fit-inputs:dict").fails
    monkeypatch.setattr(keras.Model, "fit", mixed)
    assert outcome_of("models", "fit-inputs:dict").fails
