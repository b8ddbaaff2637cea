"""Family ``engine``: sound engines agree with the oracle, a fault of 1 part in 10^4 does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.checks import engine
from bench.checks.lab import Lab
from bench.theory.rounding import montecarlo

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* got an unexpected keyword argument:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_every_network_is_listed_and_later_tiers_add_float64() -> None:
    """Ids are distinct; what takes long is not in the quick tier."""
    quick, standard = engine.checks("quick"), engine.checks("standard")
    assert len(quick) == len(engine.SUBJECTS) - len(engine.LONG)
    assert set(quick) < set(standard)
    assert len({check.id for check in standard}) == len(standard) == 2 * len(engine.SUBJECTS)


@pytest.mark.parametrize("subject", range(len(engine.checks("quick"))))
def test_engines_agree_with_the_oracle(lab: Lab, subject: int) -> None:
    """All of them are heard, and losses are compared first."""
    found = list(engine.run(engine.checks("quick")[subject], lab))
    assert not [each for each in found if each.out]
    heard = {each.tensor.split(", ")[0] for each in found}
    assert heard >= set(engine.ENGINES) - {"session"}
    assert found[0].tensor == "in_graph, losses"
    assert max(each.excess for each in found) > 0.001, "a bound that nothing comes near"


def planted() -> Iterator[Any]:
    small = 1 + 1e-4
    yield "sgd", {"learning_rate": 0.1 * small}
    yield "adam", {"learning_rate": 0.001 * small}
    yield "sgd", {"clipping": f"global_norm_{0.5 * small}"}
    yield "residual", {"learning_rate": 0.1 * small}
    yield "batch", {"learning_rate": 0.01 * small}
    yield "layer", {"learning_rate": 0.1 * small}


@pytest.mark.parametrize(("name", "changes"), list(planted()))
def test_a_step_off_by_one_part_in_ten_thousand_is_out(
    lab: Lab, name: str, changes: dict[str, Any]
) -> None:
    """Trained eagerly with the fault, judged by the truth of the network without it."""
    cell: Cell = engine.SUBJECTS[name]
    order = batch_order(0, examples=200, batch=cell.batch, steps=engine.STEPS)
    truths, draws = engine.references(cell, 0, lab, order)
    found = engine.trained(msgspec.structs.replace(cell, **changes), "eager", 0, lab, order)
    for truth in truths:
        compared = [
            montecarlo.spread(key, found[at], truth[key], [draw[key] for draw in draws], level=1e-8)
            for at, key in enumerate(truth)
        ]
        assert any(each.out for each in compared)
