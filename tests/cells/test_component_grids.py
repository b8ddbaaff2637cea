"""Grids about the parts that users upgrade for: what they ask, and that the suites' quick tier is as
short as it was."""

from __future__ import annotations

import itertools
import re

import pytest

from bench.cells.cell import OPTIMIZERS, PRECISIONS, Cell
from bench.cells.component_grids import CONVOLUTION, DROPOUT, OPTIMIZER, PRECISION, UPGRADE_GRIDS
from bench.cells.grid import TIERS
from bench.cells.grids import GRIDS

pytestmark = pytest.mark.filterwarnings("error")

NEW = {name: grid for name, grid in UPGRADE_GRIDS.items() if name not in GRIDS}

# Written once: stored baselines and people's -k expressions depend on them.
GOLDEN_IDS = {
    "optimizer": [
        "depth:3-clip:none-opt:sgd-steps:200-decay:0.0",
        "depth:3-clip:none-opt:adam-lr:0.001-steps:200-decay:0.0",
        "depth:3-clip:global_norm_0.1-opt:lamb-lr:0.01-steps:200-decay:0.01",
        "depth:3-act:tanh-init:glorot_normal-clip:none-opt:adafactor-steps:200-decay:0.0",
        "depth:3-clip:none-opt:rmsprop_centered-lr:0.001-steps:200-decay:0.01",
    ],
    "convolution": [
        "arch:cnn-norm:none-batch:50-steps:60-pool:max-filters:4",
        "arch:cnn-norm:batch-batch:50-steps:60-pool:average-filters:4",
    ],
    "precision": [
        "depth:3-act:relu-norm:none-steps:200-precision:float64",
        "depth:3-width:32-act:relu-norm:batch-steps:50-precision:mixed_float16",
        "depth:10-act:relu-norm:layer-precision:mixed_bfloat16",
    ],
    "dropout": ["depth:3-act:relu-norm:none-dropout:0.5-steps:200"],
    "sequence": [
        "depth:1-arch:simple_rnn-width:16-act:tanh-init:glorot_uniform-norm:none-clip:none-batch:50"
        "-steps:100-recurrent:orthogonal",
        "depth:1-arch:simple_rnn-width:16-act:relu-init:glorot_uniform-norm:none-clip:norm_1.0-batch:50"
        "-steps:100-recurrent:identity",
        "depth:1-arch:lstm-width:16-act:tanh-init:glorot_uniform-norm:none-clip:none-opt:adam-lr:0.01"
        "-batch:50-steps:100-direction:bidirectional-recurrent:orthogonal",
    ],
    "attention": [
        "depth:4-arch:transformer-width:16-act:gelu-init:glorot_normal-norm:layer-batch:50-steps:60"
        "-placement:pre-mask:none",
    ],
    "convdepth": [
        "depth:4-arch:conv-act:prelu-norm:group-opt:adam-lr:0.01-batch:128-steps:30"
        "-engine:fit_epochs-pool:strided-filters:8-conv:full",
    ],
}


def test_an_upgrade_runs_the_five_grids_and_seven_more() -> None:
    """In this order, which is that of the report."""
    more = ["optimizer", "convolution", "precision", "dropout", "sequence"]
    more += ["attention", "convdepth"]
    assert list(UPGRADE_GRIDS) == [*GRIDS, *more]


@pytest.mark.parametrize("name", NEW)
def test_each_tier_contains_the_one_below_it(name: str) -> None:
    """With the same cell behind the same id, in the same order."""
    tiers = [list(NEW[name].cells(tier).items()) for tier in TIERS]
    for lower, higher in itertools.pairwise(tiers):
        assert 0 < len(lower) < len(higher)
        assert higher[: len(lower)] == lower


@pytest.mark.parametrize("name", NEW)
def test_an_id_stands_for_one_cell_and_a_cell_for_one_id(name: str) -> None:
    """No cell is swallowed by another one with its id, and ids can be typed after ``-k``."""
    grid = NEW[name]
    cells = grid.cells("full")
    assert set(cells.values()) == set(itertools.chain.from_iterable(grid.added.values()))
    assert len(set(cells.values())) == len(cells)
    assert all(re.fullmatch(r"[a-z0-9:._-]+", id_) for id_ in cells)


@pytest.mark.parametrize("name", NEW)
def test_ids_do_not_change(name: str) -> None:
    """Ids that were published once."""
    assert set(GOLDEN_IDS[name]) <= set(NEW[name].cells("full"))


def test_every_grid_has_cells_in_the_quick_tier() -> None:
    """Suites and upgrades train the same."""
    assert all(grid.cells("quick") for grid in UPGRADE_GRIDS.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_in_the_quick_tier(name: str) -> None:
    """Plain, and with clipping by global norm and weight decay; alone each from the standard tier."""
    standard, quick = (
        [
            cell
            for cell in OPTIMIZER.cells(tier).values()
            if (cell.optimizer, cell.engine) == (name, "in_graph")
        ]
        for tier in ("standard", "quick")
    )
    kinds = [(cell.clipping != "none", cell.weight_decay > 0) for cell in standard]
    assert kinds[0] == (False, False)
    assert kinds[1] == (True, True)
    assert len(quick) == 2
    assert sorted(kinds) == list(itertools.product([False, True], repeat=2))


@pytest.mark.parametrize("name", UPGRADE_GRIDS)
def test_every_grid_trains_as_users_do(name: str) -> None:
    """Through one fit of two epochs whose last batches are short, in the quick tier."""
    cells = UPGRADE_GRIDS[name].cells("quick").values()
    fitted = [cell for cell in cells if cell.engine == "fit_epochs"]
    assert fitted
    assert all(60_000 % cell.batch for cell in fitted)
    assert any(cell.engine == "xla" for cell in UPGRADE_GRIDS[name].cells("standard").values())


def test_convolution_with_and_without_batch_normalization_and_either_pooling() -> None:
    """Narrow at the quick tier, the tutorial's network at the full one."""
    quick = CONVOLUTION.cells("quick").values()
    wanted = set(itertools.product(["none", "batch"], ["max", "average"]))
    assert {(cell.normalization, cell.pooling) for cell in quick} == wanted
    assert max(cell.filters for cell in quick) < 32
    assert any(cell.filters == 32 for cell in CONVOLUTION.cells("full").values())


def test_every_precision_but_the_usual_one() -> None:
    """Which the other grids have."""
    found = {cell.precision for cell in PRECISION.cells("quick").values()}
    assert found == set(PRECISIONS) - {"float32"}


def test_dropout_is_in_the_quick_tier() -> None:
    """And no other grid of it has any: it is compared by its distribution alone."""
    assert [cell.dropout for cell in DROPOUT.cells("quick").values()] == [0.5]
    others = (grid for grid in UPGRADE_GRIDS.values() if grid is not DROPOUT)
    cells: list[Cell] = [cell for grid in others for cell in grid.cells("quick").values()]
    assert not any(cell.dropout for cell in cells)
