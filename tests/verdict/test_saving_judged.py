"""Judging saved models: what is broken, what nobody promised, what was wrong before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.results.check import Deviation
from bench.results.saved_models import FORMATS, Exchange, Loaded, Written
from bench.verdict.saving import Outcome, judge_saving, judge_savings, promised

pytestmark = pytest.mark.filterwarnings("error")

V212 = {"tensorflow": "2.12.1", "keras": "2.12.0"}
V215 = {"tensorflow": "2.15.1", "keras": "2.15.0"}
V216 = {"tensorflow": "2.16.2", "keras": "3.15.1"}
V221 = {"tensorflow": "2.21.0", "keras": "3.15.1"}

WRITTEN = Written(model="mlp", format="keras")
NEAR = Deviation(tensor="outputs", excess=0.01, evidence="got 1, expected 1 within 1e-05")
FAR = Deviation(tensor="outputs", excess=7.0, evidence="got 2, expected 1 within 0.14 at [3, 1]")


def loaded(format_: str = "keras", **changes: Any) -> Loaded:
    """To the bit, unless told otherwise."""
    fields = {"same_bits": True, "digest": "a", "difference": 0.0, "deviation": NEAR}
    return Loaded(model="mlp", format=format_, **{**fields, **changes})


def failed(format_: str = "keras", error: str = "ValueError: no such layer") -> Loaded:
    return Loaded(model="mlp", format=format_, error=error)


def outcome(
    by_new: Loaded,
    *,
    by_old: Loaded | None = None,
    old: dict[str, str] = V216,
    new: dict[str, str] = V221,
) -> tuple[Outcome, str]:
    written = Written(model="mlp", format=by_new.format)
    exchange = Exchange(written=written, by_old=by_old or loaded(by_new.format), by_new=by_new)
    found = judge_saving(exchange, old=old, new=new)
    assert (found.model, found.format) == ("mlp", by_new.format)
    return found.outcome, found.reason


def test_the_same_bits_and_rounding() -> None:
    """Both pass; rounding says how much."""
    assert outcome(loaded()) == (Outcome.SAME, "")
    found, reason = outcome(loaded(same_bits=False, difference=1.2e-7))
    assert found is Outcome.ROUNDING
    assert reason == "outputs differ by 1.2e-07 of the largest"
    assert not any(each.fails for each in (Outcome.SAME, Outcome.ROUNDING))


def test_other_outputs_fail_even_where_nothing_was_promised() -> None:
    """To load and compute something else is worse than to refuse."""
    for old, new in ((V216, V221), (V221, V216), (V215, V216)):
        found, reason = outcome(loaded(same_bits=False, deviation=FAR), old=old, new=new)
        assert found is Outcome.DIFFERS
        assert found.fails
        assert "not the saved model's, by 7 times their bound: got 2" in reason
        assert "at [3, 1]" in reason


def test_outputs_that_are_not_finite_differ() -> None:
    """No number of bounds says how far."""
    worst = Deviation(tensor="outputs", excess=None, evidence="got nan, expected 1 within 0.1")
    found, reason = outcome(loaded(same_bits=False, difference=None, deviation=worst))
    assert found is Outcome.DIFFERS
    assert "outputs are not the saved model's: got nan, expected 1" in reason


def test_a_format_that_is_promised_and_cannot_be_read_is_broken() -> None:
    """The reason has the error and who promised."""
    found, reason = outcome(failed(), old=V215, new=V216)
    assert found is Outcome.BROKEN
    assert found.fails
    assert "cannot load model, .keras: ValueError: no such layer" in reason
    assert "Keras 3's load_model" in reason


def test_a_format_that_nobody_promised_is_a_fact() -> None:
    """No failure: Keras 3 does not read Keras 2's SavedModel folders and says so."""
    found, reason = outcome(failed("keras_saved_model"), old=V215, new=V216)
    assert found is Outcome.UNPROMISED
    assert not found.fails
    assert "ValueError: no such layer" in reason


def test_what_old_cannot_do_itself_is_not_laid_at_the_upgrades_door() -> None:
    """Neither an error nor a wrong output that both sides have; nor one in writing."""
    assert outcome(failed(), by_old=failed())[0] is Outcome.BOTH
    wrong = loaded(deviation=FAR, same_bits=False)
    assert outcome(wrong, by_old=wrong)[0] is Outcome.BOTH
    exchange = Exchange(written=Written(model="cnn", format="export", error="KeyError: x"))
    found = judge_saving(exchange, old=V212, new=V221)
    assert (found.outcome, found.reason) == (Outcome.BOTH, "OLD cannot write it: KeyError: x")
    assert not found.outcome.fails


def test_what_new_mends_is_well() -> None:
    """OLD fails at its own file, NEW reads it right."""
    assert outcome(loaded(), by_old=failed())[0] is Outcome.SAME


def test_a_format_that_old_lacks() -> None:
    """Is named with the reason, and no failure."""
    written = Written(model="mlp", format="legacy_weights", absent="Keras 3.15.1 does not write it")
    found = judge_saving(Exchange(written=written), old=V216, new=V221)
    assert (found.outcome, found.reason) == (Outcome.ABSENT, written.absent)


def test_nothing_compared_is_never_well() -> None:
    """Neither outputs without a comparison nor a file that nobody loaded pass."""
    assert outcome(loaded(deviation=None))[0] is Outcome.DIFFERS
    with pytest.raises(ValueError, match="mlp, keras: was written and not loaded"):
        judge_saving(Exchange(written=WRITTEN, by_old=loaded()), old=V216, new=V221)


PROMISED = {
    (2.12, 2.15): set(FORMATS),
    (2.12, 3.15): set(FORMATS) - {"keras", "keras_saved_model", "checkpoint"},
    (2.15, 3.15): set(FORMATS) - {"keras_saved_model", "checkpoint"},
    (3.15, 3.15): set(FORMATS),
    (3.15, 2.15): set(),
    (2.15, 2.12): set(),
}


@pytest.mark.parametrize(
    ("old", "new"),
    [(V212, V215), (V212, V221), (V215, V216), (V216, V221), (V216, V215), (V215, V212)],
)
def test_what_documents_promise(old: dict[str, str], new: dict[str, str]) -> None:
    """Forward in time all that a document names; backward nothing."""
    key = tuple(float(".".join(side["keras"].split(".")[:2])) for side in (old, new))
    found = {name for name in FORMATS if promised(name, writer=old, reader=new)}
    assert found == PROMISED[key]


def test_the_same_keras_on_an_older_tensorflow() -> None:
    """Keras' own formats are Keras' business; a SavedModel goes by TensorFlow's version."""
    found = {name for name in FORMATS if promised(name, writer=V221, reader=V216)}
    assert found == set(FORMATS) - {"export", "saved_model", "checkpoint"}


def test_fewer_digits_than_versions_have() -> None:
    """2.9 is before 2.12: versions are numbers, not text."""
    older = {"tensorflow": "2.9.0", "keras": "2.9.0"}
    assert not promised("export", writer=V212, reader=older)
    assert promised("export", writer=older, reader=V212)


def back(by_old: Loaded, by_new: Loaded | None = None) -> Exchange:
    """A file that NEW wrote."""
    written = Written(model="mlp", format="keras")
    return Exchange(written=written, back=True, by_old=by_old, by_new=by_new or loaded())


def test_going_back_a_refusal_is_told_and_fails_nothing() -> None:
    """Nobody promised that an older Keras reads it; the same Keras on both sides should."""
    found = judge_saving(back(failed()), old=V215, new=V216)
    assert (found.outcome, found.back) == (Outcome.UNPROMISED, True)
    assert not found.outcome.fails
    found = judge_saving(back(failed()), old=V216, new=V221)
    assert found.outcome is Outcome.BROKEN


def test_going_back_other_numbers_fail_unless_old_had_them_before() -> None:
    """A server that stays behind computes something else, and says nothing."""
    wrong = loaded(same_bits=False, deviation=FAR)
    forward = Exchange(written=WRITTEN, by_old=loaded(), by_new=loaded())
    alike, found = judge_savings([forward, back(wrong)], old=V215, new=V216)
    assert (alike.outcome, alike.back) == (Outcome.SAME, False)
    assert found.outcome is Outcome.DIFFERS
    as_before = msgspec.structs.replace(forward, by_old=wrong)
    *_, found = judge_savings([as_before, back(wrong)], old=V215, new=V216)
    assert found.outcome is Outcome.BOTH
    assert found.reason.startswith("OLD misreads its own files as well: outputs are not the saved")


def test_going_back_the_writer_is_new() -> None:
    """What NEW cannot read itself is not OLD's fault."""
    found = judge_saving(back(failed(), failed()), old=V215, new=V216)
    assert found.outcome is Outcome.BOTH
    assert found.reason.startswith("NEW, which wrote it: ")
