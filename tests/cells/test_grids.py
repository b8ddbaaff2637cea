"""Grids: tiers nested, ids stable, and every question of the benchmark asked by some cell."""

from __future__ import annotations

import itertools
import re

import pytest

from bench.cells.cell import ACTIVATIONS, Cell
from bench.cells.grid import TIERS
from bench.cells.grids import GRIDS
from bench.cells.numbers import split_number, with_number
from bench.errors import BenchError

pytestmark = pytest.mark.filterwarnings("error")

TIER_NAMES = ("quick", "standard", "full")

# Written once: stored baselines and people's -k expressions depend on them.
GOLDEN_IDS = {
    "depth": [
        "depth:1-arch:mlp-act:relu-init:he_normal-norm:none",
        "depth:1-arch:mlp-act:sigmoid-init:he_normal-norm:none",
        "depth:3-arch:mlp-act:sigmoid-init:glorot_normal-norm:none",
        "depth:10-arch:mlp-act:tanh-init:he_normal-norm:none",
        "depth:30-arch:mlp-act:tanh-init:glorot_normal-norm:none",
        "depth:3-arch:residual-act:relu-init:glorot_normal-norm:none",
        "depth:10-arch:residual-act:relu-init:he_normal-norm:none",
        "depth:10-arch:residual-act:sigmoid-init:he_normal-norm:none",
        "depth:2-arch:mlp-act:relu-init:he_normal-norm:none",
        "depth:20-arch:mlp-act:sigmoid-init:glorot_normal-norm:none",
        "depth:2-arch:residual-branch:scaled-act:sigmoid-init:glorot_normal-norm:none",
        "depth:5-arch:residual-act:sigmoid-init:glorot_normal-norm:none",
        "depth:20-arch:residual-act:sigmoid-init:glorot_normal-norm:none",
        "depth:50-arch:residual-act:tanh-init:glorot_normal-norm:none",
        "depth:3-arch:residual-act:tanh-init:glorot_normal-norm:batch",
        "depth:30-arch:mlp-act:relu-init:he_normal-norm:batch",
        "depth:1-arch:mlp-act:relu-init:he_normal-norm:batch",
        "depth:2-arch:mlp-act:sigmoid-init:glorot_normal-norm:batch",
        "depth:2-arch:residual-act:sigmoid-init:glorot_normal-norm:batch",
        "depth:5-arch:mlp-act:relu-init:he_normal-norm:batch",
        "depth:5-arch:residual-act:tanh-init:glorot_normal-norm:batch",
        "depth:10-arch:residual-branch:scaled-act:tanh-init:glorot_normal-norm:batch",
        "depth:20-arch:residual-act:relu-init:he_normal-norm:batch",
        "depth:20-arch:residual-branch:scaled-act:sigmoid-init:glorot_normal-norm:batch",
    ],
    "activation": [
        "depth:3-act:relu-init:he_normal-lr:0.03",
        "depth:3-act:elu-init:he_normal-lr:0.03",
        "depth:3-act:gelu-init:he_normal-lr:0.03",
        "depth:3-act:tanh-init:he_normal-lr:0.03",
        "depth:3-act:softplus-init:he_normal-lr:0.03",
        "depth:10-act:leaky_relu-init:he_normal-lr:0.03",
        "depth:10-act:selu-init:he_normal-lr:0.03",
        "depth:10-act:silu-init:he_normal-lr:0.03",
        "depth:3-act:relu-init:lecun_normal-lr:0.03",
        "depth:3-act:elu-init:lecun_normal-lr:0.03",
        "depth:3-act:gelu-init:lecun_normal-lr:0.03",
        "depth:3-act:tanh-init:lecun_normal-lr:0.03",
        "depth:3-act:softplus-init:lecun_normal-lr:0.03",
        "depth:10-act:leaky_relu-init:lecun_normal-lr:0.03",
        "depth:10-act:selu-init:lecun_normal-lr:0.03",
        "depth:10-act:silu-init:lecun_normal-lr:0.03",
        "depth:3-act:relu-init:he_normal-lr:0.01",
        "depth:3-act:selu-init:glorot_normal",
        "depth:3-act:tanh-init:orthogonal-lr:0.01",
        "depth:10-act:leaky_relu-init:he_normal",
        "depth:10-act:gelu-init:lecun_normal-lr:0.01",
        "depth:10-act:sigmoid-init:orthogonal",
        "depth:3-act:gelu-init:lecun_normal-opt:momentum-lr:0.003",
        "depth:10-act:elu-init:glorot_normal-opt:momentum-lr:0.003",
    ],
    "initialization": [
        "depth:0-act:relu-init:zeros-bias:0.0",
        "depth:3-act:relu-init:normal_0.01-bias:0.0",
        "depth:3-act:relu-init:normal_1.0-bias:0.1",
        "depth:3-act:relu-init:truncated_normal_0.1-bias:0.0",
        "depth:3-act:relu-init:uniform_0.0001-bias:0.1",
        "depth:3-act:relu-init:uniform_1.0-bias:0.0",
        "depth:3-act:relu-init:glorot_uniform-bias:0.1",
        "depth:3-act:relu-init:lecun_normal-bias:0.0",
        "depth:3-act:relu-init:normal_0.0003-bias:0.0",
        "depth:3-act:tanh-init:zeros-bias:0.1",
        "depth:3-act:tanh-init:truncated_normal_0.03-bias:0.1",
        "depth:3-act:tanh-init:he_normal-bias:0.1",
        "depth:10-act:relu-init:truncated_normal_0.0001-bias:0.1",
        "depth:10-act:relu-init:uniform_0.1-bias:0.1",
        "depth:10-act:tanh-init:normal_0.01-bias:0.1",
        "depth:10-act:tanh-init:uniform_0.0003-bias:0.1",
        "depth:0-act:relu-init:normal_0.0001-bias:0.0",
        "depth:0-act:relu-init:uniform_0.003-bias:0.0",
        "depth:3-act:sigmoid-init:normal_0.003-bias:0.0",
        "depth:3-act:sigmoid-init:truncated_normal_0.01-bias:0.1",
        "depth:3-act:sigmoid-init:uniform_0.1-bias:0.0",
        "depth:10-act:sigmoid-init:zeros-bias:0.1",
        "depth:10-act:sigmoid-init:truncated_normal_0.0003-bias:0.0",
        "depth:10-act:sigmoid-init:uniform_0.001-bias:0.1",
    ],
    "normalization": [
        "depth:3-act:relu-init:glorot_normal-norm:none",
        "depth:3-act:relu-init:normal_0.01-norm:none",
        "depth:3-act:sigmoid-init:glorot_normal-norm:none",
        "depth:3-act:sigmoid-init:normal_0.01-norm:none",
        "depth:10-act:relu-init:glorot_normal-norm:none",
        "depth:10-act:relu-init:normal_0.01-norm:none",
        "depth:10-act:sigmoid-init:glorot_normal-norm:none",
        "depth:10-act:sigmoid-init:normal_0.01-norm:none",
        "depth:3-act:relu-init:he_normal-norm:none",
        "depth:3-act:tanh-init:he_normal-norm:none",
        "depth:3-act:sigmoid-init:he_normal-norm:none",
        "depth:10-act:tanh-init:glorot_normal-norm:none",
        "depth:10-act:tanh-init:normal_0.01-norm:none",
        "depth:30-act:relu-init:glorot_normal-norm:none",
        "depth:30-act:tanh-init:he_normal-norm:none",
        "depth:30-act:sigmoid-init:glorot_normal-norm:none",
        "depth:3-arch:residual-act:relu-init:glorot_normal-norm:none",
        "depth:3-arch:residual-act:tanh-init:glorot_normal-norm:batch",
        "depth:3-arch:residual-act:sigmoid-init:glorot_normal-norm:layer",
        "depth:10-arch:residual-act:relu-init:he_normal-norm:none",
        "depth:10-arch:residual-act:tanh-init:he_normal-norm:batch",
        "depth:10-arch:residual-act:sigmoid-init:he_normal-norm:layer",
        "depth:30-arch:residual-act:relu-init:normal_0.01-norm:none",
        "depth:30-arch:residual-act:tanh-init:normal_0.01-norm:batch",
    ],
    "clipping": [
        "depth:3-act:relu-init:he_normal-clip:none",
        "depth:3-act:relu-init:he_normal-clip:value_0.0001",
        "depth:3-act:relu-init:he_normal-clip:value_100.0",
        "depth:3-act:relu-init:he_normal-clip:norm_0.1",
        "depth:3-act:relu-init:he_normal-clip:norm_100.0",
        "depth:3-act:relu-init:he_normal-clip:global_norm_0.1",
        "depth:3-act:relu-init:he_normal-clip:global_norm_100.0",
        "depth:3-act:relu-init:normal_0.47-clip:none",
        "depth:3-act:relu-init:he_normal-clip:value_0.01",
        "depth:3-act:relu-init:normal_0.47-clip:norm_0.01",
        "depth:10-act:relu-init:he_normal-clip:value_100.0",
        "depth:10-act:relu-init:he_normal-clip:global_norm_100.0",
        "depth:10-act:relu-init:normal_0.47-clip:norm_1.0",
        "depth:3-act:relu-init:he_normal-clip:value_0.0001-opt:momentum-lr:0.001",
        "depth:3-act:relu-init:he_normal-clip:global_norm_0.1-opt:momentum-lr:0.001",
        "depth:3-act:relu-init:normal_0.47-clip:value_100.0-opt:momentum-lr:0.001",
        "depth:3-act:relu-init:he_normal-clip:none-lr:0.001",
        "depth:3-act:relu-init:he_normal-clip:norm_100.0-lr:0.001",
        "depth:3-act:relu-init:normal_0.47-clip:value_1.0-opt:adam-lr:0.001",
        "depth:3-act:relu-init:normal_0.47-clip:global_norm_1.0-opt:adam-lr:0.001",
        "depth:10-act:relu-init:he_normal-clip:value_100.0-opt:adam-lr:0.001",
        "depth:10-act:relu-init:he_normal-clip:global_norm_0.1-lr:0.001",
        "depth:10-act:relu-init:normal_0.47-clip:value_0.01-opt:momentum-lr:0.001",
        "depth:10-act:relu-init:normal_0.47-clip:norm_1.0-opt:adam-lr:0.001",
    ],
}

SCALES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
NAMED = [f"{rule}_{law}" for rule in ("glorot", "he", "lecun") for law in ("normal", "uniform")] + [
    "orthogonal"
]
FITTING = {"relu": "he_normal", "tanh": "glorot_normal", "sigmoid": "glorot_normal"}
UNFITTING = {"relu": "glorot_normal", "tanh": "he_normal", "sigmoid": "he_normal"}


def full(grid: str) -> set[Cell]:
    return set(GRIDS[grid].cells("full").values())


def test_five_grids_and_three_tiers() -> None:
    """What the names on the command line are."""
    assert list(GRIDS) == [
        "depth",
        "activation",
        "initialization",
        "normalization",
        "clipping",
    ]
    assert tuple(TIERS) == TIER_NAMES
    seeds = [tier.seeds for tier in TIERS.values()]
    assert seeds == sorted(seeds), "a higher tier trains no fewer seeds"
    assert [tier.one_first for tier in TIERS.values()] == [True, False, False]


@pytest.mark.parametrize("name", GRIDS)
def test_each_tier_contains_the_one_below_it(name: str) -> None:
    """With the same cell behind the same id, in the same order."""
    tiers = [list(GRIDS[name].cells(tier).items()) for tier in TIER_NAMES]
    for lower, higher in itertools.pairwise(tiers):
        assert 0 < len(lower) < len(higher)
        assert higher[: len(lower)] == lower


@pytest.mark.parametrize(("tier", "least"), [("quick", 100), ("standard", 400), ("full", 1000)])
def test_size_of_a_tier(tier: str, least: int) -> None:
    """Over all grids."""
    assert sum(len(grid.cells(tier)) for grid in GRIDS.values()) >= least


@pytest.mark.parametrize("name", GRIDS)
def test_an_id_stands_for_one_cell_and_a_cell_for_one_id(name: str) -> None:
    """No combination of a tier is swallowed by another one with its id, nor trained twice."""
    grid = GRIDS[name]
    declared = set(itertools.chain.from_iterable(grid.added.values()))
    cells = grid.cells("full")
    assert set(cells.values()) == declared
    assert len(cells) == len(declared)
    assert all(cell.id(grid.axes) == id_ for id_, cell in cells.items())


@pytest.mark.parametrize("name", GRIDS)
def test_ids_do_not_change(name: str) -> None:
    """Ids that were published once."""
    golden = GOLDEN_IDS[name]
    assert len(golden) == len(set(golden)) == 24
    assert set(golden) <= set(GRIDS[name].cells("full"))


def test_an_unknown_tier_is_named_with_those_that_exist() -> None:
    """Rather than an empty selection."""
    with pytest.raises(BenchError, match=re.escape("no tier 'nightly'")) as caught:
        GRIDS["depth"].cells("nightly")
    assert all(tier in str(caught.value.hint) for tier in TIER_NAMES)


@pytest.mark.parametrize("name", GRIDS)
def test_a_depth_in_k_matches_no_other_depth(name: str) -> None:
    """``-k "depth:3-"`` selects depth 3 and never depth 30: every id goes on after its depth."""
    cells = GRIDS[name].cells("full")
    depths = {cell.depth for cell in cells.values()}
    assert {3, 10} <= depths
    for depth in depths:
        matched = {id_ for id_ in cells if f"depth:{depth}-" in id_}
        assert matched == {id_ for id_, cell in cells.items() if cell.depth == depth}


@pytest.mark.parametrize("name", GRIDS)
def test_ids_can_be_written_in_k(name: str) -> None:
    """No character that pytest's ``-k`` or a shell takes for something else."""
    assert all(re.fullmatch(r"[a-z0-9:._-]+", id_) for id_ in GRIDS[name].cells("full"))


# --- Every axis value that the benchmark asks about ---------------------------------------------


@pytest.mark.parametrize("activation", FITTING)
@pytest.mark.parametrize("architecture", ["mlp", "residual"])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 10, 20, 30, 50])
def test_depth_grid(depth: int, architecture: str, activation: str) -> None:
    """Plain and residual, with the fitting and an unfitting initializer. A residual network of
    depth 1 would have no skip."""
    wanted = {
        Cell(depth=depth, architecture=architecture, activation=activation, initializer=initializer)
        for initializer in (FITTING[activation], UNFITTING[activation])
    }
    assert len(wanted) == 2
    if (depth, architecture) == (1, "residual"):
        assert not wanted & full("depth")
    else:
        assert wanted <= full("depth")


@pytest.mark.parametrize("depth", [3, 10])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_grid(activation: str, depth: int) -> None:
    """Nine activations, each from several initializers."""
    assert len(ACTIVATIONS) == 9
    found = {
        cell.initializer
        for cell in full("activation")
        if (cell.activation, cell.depth) == (activation, depth)
    }
    assert {"he_normal", "glorot_normal", "lecun_normal", "orthogonal"} <= found


@pytest.mark.parametrize("bias", [0.0, 0.1])
@pytest.mark.parametrize(
    "initializer",
    [
        "zeros",
        *NAMED,
        *(
            with_number(rule, scale)
            for rule in ("normal", "truncated_normal", "uniform")
            for scale in SCALES
        ),
    ],
)
def test_initialization_grid(initializer: str, bias: float) -> None:
    """From all-zero weights to standard deviation 1, with and without a bias."""
    found = {
        cell.depth
        for cell in full("initialization")
        if (cell.initializer, cell.bias) == (initializer, bias)
    }
    assert {3, 10} <= found


def test_softmax_regression_is_in_the_initialization_grid() -> None:
    """Depth 0 from zeros: the one network that zero weights do not kill."""
    assert Cell(depth=0, initializer="zeros") in GRIDS["initialization"].cells("quick").values()


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("depth", [3, 10, 30])
@pytest.mark.parametrize("activation", FITTING)
def test_normalization_grid(activation: str, depth: int, normalization: str) -> None:
    """Each from a good start and from weights far too small."""
    wanted = {
        Cell(
            depth=depth,
            activation=activation,
            normalization=normalization,
            initializer=initializer,
        )
        for initializer in (FITTING[activation], "normal_0.01")
    }
    assert wanted <= full("normalization")


@pytest.mark.parametrize("initializer", ["he_normal", "normal_0.47"])
@pytest.mark.parametrize("rule", ["value", "norm", "global_norm"])
def test_clipping_grid(rule: str, initializer: str) -> None:
    """Thresholds far below and far above 1, on a sound and on an exploding network.

    That 1 is what typical gradients are is measured in nets/test_replica.py.
    """
    thresholds = {
        split_number(cell.clipping)[1]
        for cell in full("clipping")
        if cell.initializer == initializer and cell.clipping.startswith(f"{rule}_")
        if cell.depth == 3
    }
    assert {0.01, 1.0, 100.0} <= thresholds
    assert Cell(initializer=initializer) in full("clipping")


# --- Selecting by axis --------------------------------------------------------------------------
