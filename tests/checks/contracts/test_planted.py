"""Every contract has a fault of its own that it catches: a sample here, all by tox run -e planted."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from bench.checks.catalogue import checks, contract_of
from bench.checks.examiner import Examiner
from bench.results.check import CONTRACTS
from tests.checks.contracts.planted import (
    FAULTS,
    Fault,
    caught,
    examined,
    fault_of,
    method,
    nothing,
    of_thing,
    plantable,
)

#: Of each way to plant one, and quick.
SAMPLE = (
    "losses:formula-huber",
    "losses:axis-binary_crossentropy",
    "reductions:reduce-sum",
    "metrics:precision",
    "regularizers:constraints-training",
    "layers:layer_norm-epsilon:1e-6",
    "convolutions:conv2d-same",
    "training:gradients-none",
    "schedules:piecewise",
    "growth:train_on_batch",
    "saving:flat-format:weights",
    "saving:by_name-format:h5",
    "logs:batches",
    "masks:metrics-mask",
    "mixed:state-assigned",
)


@pytest.fixture(scope="module")
def examiner() -> Examiner:
    return Examiner(None, "cpu")  # type: ignore[arg-type] # no images here


@pytest.mark.parametrize("id_", SAMPLE)
def test_a_planted_fault_is_caught(id_: str, examiner: Examiner) -> None:
    """By its own contract, which holds without."""
    [check] = plantable([id_])
    assert not examiner.examine(check).wrong
    assert caught(examined(check, examiner))
    assert not examiner.examine(check).wrong


def test_every_contract_has_a_fault_and_every_fault_a_contract() -> None:
    """What is added to the catalogue is added to the table."""
    every = [
        check
        for check in checks("quick", CONTRACTS)
        if (contract := contract_of(check)) is not None and contract.keras != (2,)
    ]
    assert [check.id for check in every if fault_of(check) is None] == []
    used = {id(fault_of(check)) for check in every}
    assert [fault.checks for fault in FAULTS if id(fault) not in used] == []


def test_an_error_is_no_catch(examiner: Examiner) -> None:
    """A fault that makes Keras raise says nothing of the contract's bounds."""
    [check] = plantable(["losses:formula-huber"])

    def broken(*_: Any) -> Any:
        raise ValueError("planted")

    fault = Fault((check.id,), "raises", of_thing(method, "call", broken))
    found = examined(check, examiner, fault)
    assert found.wrong
    assert found.reason.startswith("raises: ValueError: planted")
    assert not caught(found)
    harmless = Fault((check.id,), "nothing", lambda _: nullcontext())
    assert not caught(examined(check, examiner, harmless))


def test_a_method_is_itself_again() -> None:
    """After a fault."""
    from bench.nets.api import keras

    mean = keras.metrics.Mean()
    with nothing(keras.metrics.Mean, "reset_state"):
        mean.update_state([2.0])
        mean.reset_state()
        assert np.asarray(mean.result()) == 2.0
    mean.reset_state()
    assert np.asarray(mean.result()) == 0.0
