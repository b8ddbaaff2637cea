"""The rounding envelope on made-up trajectories, whose truth is known."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from bench.cells.cell import Cell
from bench.cells.own_model import OwnModel
from bench.measure.tensors import fingerprints
from bench.results.record import Tensors
from bench.verdict import departures
from bench.verdict.departures import rounding_factor, summed_otherwise
from bench.verdict.differences import Differences
from bench.verdict.envelope import (
    FEWEST,
    MOST,
    copies_needed,
    describe,
    examine,
    risk,
    seeds_for,
)
from bench.verdict.judgement import Departure
from bench.verdict.traces import Seed, Trace

pytestmark = pytest.mark.filterwarnings("error")

CELL = Cell()
FACTOR = rounding_factor(CELL)
STEPS = 200
ULP = 2.0**-23  # of numbers in [1, 2)


def trace(losses: Any, tensors: Tensors | None = None) -> Trace:
    """As it is stored: rounded to float32."""
    return Trace(np.asarray(losses, "<f4").astype(float), tensors)


def flat(value: float = 1.0, steps: int = STEPS) -> np.ndarray:
    return np.full(steps, value)


def jumping(at: float, size: float = 0.01, steps: int = STEPS) -> np.ndarray:
    """A loss that is off by ``size`` from a step on."""
    return flat(steps=steps) + size * (np.arange(steps) >= at)


def seed(run: Any, baseline: Any, *copies: Any, level: float = 0.0) -> Seed:
    """Losses of one seed, all higher by ``level``."""
    return Seed(
        trace(run + level), trace(baseline + level), [trace(copy + level) for copy in copies]
    )


def departed(cell: Cell, seeds: Sequence[Seed]) -> Departure | None:
    return departures.tested(cell, seeds, 0).departure


# How wide it is


def test_the_factor_is_that_of_the_longest_sum() -> None:
    """sqrt(N / 6): 784 pixels, or as many units or examples as there are more; a convolution's kernel
    gradient sums 28 x 28 places of each example, and its dense layer 7 x 7 x 64 units."""
    assert pytest.approx(math.sqrt(784 / 6)) == FACTOR == rounding_factor(Cell(width=100))
    assert rounding_factor(Cell(width=2400)) == pytest.approx(20)
    assert rounding_factor(Cell(batch=5400)) == pytest.approx(30)
    assert rounding_factor(Cell(architecture="cnn", batch=54)) == pytest.approx(84)
    assert rounding_factor(Cell(architecture="cnn", batch=1)) == pytest.approx(56 / math.sqrt(6))


def test_sums_in_another_order_stay_within_the_factor() -> None:
    """Two orders of float32 sums of 784 products against weights moved by one unit in the last place:
    the quotient of the root mean squares is at most sqrt(784 / 6), and not many times less."""
    random = np.random.default_rng(0)
    orders, copies = [], []
    for _ in range(400):
        x, w = random.normal(size=(2, 784)).astype(np.float32)
        products = x * w
        exact = float(products.astype(float).sum())
        orders.append(float(np.cumsum(products)[-1]) - exact)
        up = random.choice([-1.0, 1.0], 784) * np.spacing(np.abs(w)).astype(float)
        copies.append(float(x.astype(float) @ up))
    quotient = math.sqrt(2) * np.std(orders) / np.std(copies)
    # 400 draws: a standard error of 1 / sqrt(800) = 3.5 % on each of the two.
    assert FACTOR / 3 < quotient < FACTOR * 1.1


def test_the_envelope_looks_ahead_and_reaches_from_copy_to_copy() -> None:
    """The largest of all copies so far, and up to step 2 t + 1; its floor is one unit in the last
    place of the loss; both times the factor."""
    seeds = [
        seed(flat(), flat(), jumping(9, 0.01), jumping(101, 0.05)),
        seed(flat(), flat(), flat(), jumping(9, 0.02), level=0.9),
    ]
    found = Differences.of(CELL, seeds)
    assert found.copies.shape == (4, STEPS)
    assert found.seeds.shape == (2, STEPS)
    expected = np.where(np.arange(STEPS) < 4, ULP, np.where(np.arange(STEPS) < 50, 0.02, 0.05))
    np.testing.assert_allclose(found.envelope, FACTOR * expected, rtol=1e-5)


# What lies inside and what outside


def test_one_unit_in_the_last_place_is_inside() -> None:
    """Losses are rounded to float32: where copies agree by luck, one step of the format is rounding,
    and so are as many as the factor."""
    for units, inside in ((1, True), (int(FACTOR), True), (int(FACTOR) + 1, False)):
        test = examine(CELL, [seed(flat() + units * ULP, flat(), flat() + units * ULP)])
        assert test.inside is inside
        assert test.ratio == pytest.approx(units / FACTOR)
        assert test.starts == 0


def test_a_semantic_change_is_outside_with_step_and_factor() -> None:
    """Worked by hand: copies .001 apart from step 0, the run .03 apart from step 7 and .04 at 13
    under one seed, twice that under the other. The seed that strays least speaks."""
    least = 0.03 * (np.arange(STEPS) >= 7) + 0.01 * (np.arange(STEPS) == 13)
    seeds = [
        seed(
            flat() + stretch * least, flat(), flat() + stretch * least + 0.001, level=0.4 * stretch
        )
        for stretch in (2, 1)
    ]
    test = examine(CELL, seeds)
    assert not test.inside
    assert (test.starts, test.first_step, test.worst_step) == (7, 7, 13)
    assert test.ratio == pytest.approx(0.04 / (0.001 * FACTOR), rel=1e-3)
    assert (test.strays, test.seeds, test.copies, test.steps) == (2, 2, 2, STEPS)
    assert test.risk == risk(2, 2)
    text = describe(test)
    assert "leave the rounding envelope at step 7, up to 3.5 times beyond it at step 13" in text
    assert "(2 copies over 2 seeds; sharp for 200 of 200 steps)" in text
    assert text.endswith("no stored tensor departs by itself before that")


def test_one_seed_that_stays_inside_is_rounding() -> None:
    """Jumps strike seeds one by one; the one that strays alone is counted and told."""
    seeds = [seed(flat(), jumping(40), flat()), seed(flat() + ULP, flat(), flat())]
    test = examine(CELL, seeds)
    assert test.inside
    assert (test.strays, test.first_step, test.ratio) == (1, None, pytest.approx(1 / FACTOR))
    assert ", 1 stray alone" in describe(test)
    assert "losses differ from step 0 on and stay within rounding" in describe(test)


def test_seeds_that_leave_at_different_steps_are_outside() -> None:
    """What matters is that each does, not when."""
    test = examine(CELL, [seed(flat(), jumping(at), flat()) for at in (30, 90, 150)])
    assert not test.inside
    assert test.strays == 3


def test_a_difference_at_step_0_cannot_be_a_jump() -> None:
    """Losses of step 0 come before any gradient: under all seeds its risk is none."""
    assert examine(CELL, [seed(flat(), jumping(0), flat())]).risk == 0
    assert examine(CELL, [seed(flat(), jumping(1), flat())]).risk == risk(1, 1)
    both = [seed(flat(), jumping(0), flat()), seed(flat(), jumping(1), flat())]
    assert examine(CELL, both).risk == risk(2, 2)


def rounding(random: np.random.Generator, growth: float, size: float = ULP) -> np.ndarray:
    """A loss that parts from 1 by ``size`` and grows ``growth``-fold in each step, to .5 at most."""
    part = size * growth ** np.arange(STEPS) * random.normal(0, 0.3, STEPS).cumsum()
    return flat() + np.clip(part, -0.5, 0.5)


@pytest.mark.parametrize("growth", [1.0, 1.01, 1.05, 1.2, 1.5])
def test_rounding_that_grows_is_inside_and_the_blunt_part_is_told(growth: float) -> None:
    """At any speed: 100 comparisons of three seeds, with four copies of each, that part as the run
    does. A cell whose envelope soon spans everything is told so."""
    random = np.random.default_rng(0)
    level = 2.3 * np.exp(-np.arange(STEPS) / 50)
    tests = []
    for _ in range(100):
        seeds = []
        for number in range(3):
            losses = level * (1 + 0.02 * number)
            apart = [rounding(random, growth) - 1 for _ in range(5)]
            seeds.append(seed(losses, losses + apart[0], *(losses + part for part in apart[1:])))
        tests.append(examine(CELL, seeds))
    assert all(test.inside for test in tests)
    sharp = np.median([test.sharp_steps for test in tests])
    if growth >= 1.2:  # 2^-23 x 1.2^100 = 10
        assert sharp < 60
        found = describe(tests[0])
        assert f"sharp for {tests[0].sharp_steps} of 200 steps" in found
    if growth <= 1.01:
        assert sharp == STEPS


def test_a_change_is_found_however_chaotic_the_rest() -> None:
    """While the envelope is sharp, a part in 1e3 of the loss is outside; what begins once it spans
    everything is not seen, and the number of sharp steps says so."""
    random = np.random.default_rng(1)
    level = 2.3 * np.exp(-np.arange(STEPS) / 50)

    def seeds(since: int) -> list[Seed]:
        changed = level * (1 + 1e-3 * (np.arange(STEPS) >= since))
        return [
            seed(level, changed, *(level + rounding(random, 1.2) - 1 for _ in range(4)))
            for _ in range(3)
        ]

    assert not examine(CELL, seeds(0)).inside
    late = examine(CELL, seeds(150))
    assert late.inside
    assert late.sharp_steps < 60


def test_steps_beyond_a_blunt_envelope_are_not_called_sharp() -> None:
    """Worked by hand: two seeds .1 apart, copies .002 apart from step 40 on. With the factor that
    is .023, below .1; .02 apart is .23, above, and the envelope sees it from step 20 - 1 on."""
    for size, sharp in ((0.002, STEPS), (0.02, 19)):
        seeds = [
            seed(base + flat(), base + flat(), base + jumping(39, size)) for base in (0.0, 0.1)
        ]
        assert examine(CELL, seeds).sharp_steps == sharp


def test_seeds_lie_apart_at_one_step_and_not_between_steps() -> None:
    """All losses fall from 2 to 1, the seeds' .125 apart throughout."""
    falling = np.linspace(2, 1, STEPS)
    spread = of([seed(falling, falling, falling, level=level) for level in (0.0, 0.125)]).spread
    np.testing.assert_allclose(spread, 0.125, rtol=1e-5)


def test_one_seed_is_sharp_against_how_far_its_loss_has_moved() -> None:
    """There is no other seed to compare with: 2 down to 1 is as wide as 1."""
    falling = np.linspace(2, 1, STEPS)
    narrow, wide = (
        examine(CELL, [seed(falling, falling, falling + size)]).sharp_steps for size in (1e-6, 1.0)
    )
    assert narrow == STEPS
    assert wide == 1


# Numbers that are none, and things that are missing


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_on_one_side_is_outside(odd: float) -> None:
    """However wide the envelope is, while it is finite."""
    broken = flat()
    broken[50:] = odd
    for run, baseline in ((broken, flat()), (flat(), broken)):
        test = examine(CELL, [seed(run, baseline, run + 0.01)])
        assert not test.inside
        assert (test.first_step, test.worst_step, test.ratio) == (50, 50, math.inf)
        assert "envelope at step 50, not finite on one side alone at step 50 (" in describe(test)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_on_both_sides_is_no_difference(odd: float) -> None:
    """Both diverged at the same step; the number of the overflow is no loss."""
    run, baseline = flat(), flat() + ULP
    run[50:], baseline[50:] = odd, math.nan
    test = examine(CELL, [seed(run, baseline, run)])
    assert test.inside
    assert test.ratio == pytest.approx(1 / FACTOR)


def test_a_copy_that_diverges_alone_widens_the_envelope_to_everything() -> None:
    """Rounding alone decides there whether the network overflows."""
    broken = flat()
    broken[60:] = math.nan
    test = examine(CELL, [seed(flat(), jumping(40), flat(), broken)])
    assert test.inside
    assert test.sharp_steps < 40
    assert not examine(CELL, [seed(flat(), jumping(5), flat(), broken)]).inside


def test_divergence_one_step_later_is_outside() -> None:
    """Unless a copy does so too."""
    run, baseline = flat(), flat()
    run[50:], baseline[51:] = math.inf, math.inf
    assert not examine(CELL, [seed(run, baseline, run)]).inside
    test = examine(CELL, [seed(run, baseline, baseline)])
    assert (test.inside, test.ratio) == (True, 0)


@pytest.mark.parametrize("which", ["run", "baseline", "copy", "copy of another seed"])
def test_the_shortest_trajectory_counts(which: str) -> None:
    """Nothing is compared where one side has no loss; how many steps were is told."""
    short = {
        "run": seed(flat(steps=30), jumping(40), flat(), flat()),
        "baseline": seed(jumping(40), flat(steps=30), flat(), flat()),
        "copy": seed(flat(), jumping(40), flat(), flat(steps=30)),
    }
    seeds = [short.get(which, seed(flat(), jumping(40), flat()))]
    if which == "copy of another seed":
        seeds.append(seed(flat(), flat(), flat(steps=30)))
    test = examine(CELL, seeds)
    assert (test.steps, test.inside, test.starts) == (30, True, None)
    assert describe(test).startswith("no loss differs")
    assert of(seeds).envelope.shape == (30,)


# Metrics at the end


def ended(run: float | None, baseline: float | None, copy: float | None) -> Seed:
    """One seed whose losses are equal, by the test accuracy of both sides and of a copy of the run."""
    sides = [
        dataclasses.replace(trace(flat()), metrics={"test_accuracy": a})
        for a in (run, baseline, copy)
    ]
    return Seed(sides[0], sides[1], [sides[2]])


def test_accuracy_may_differ_as_copies_do_up_to_how_far_seeds_lie_apart() -> None:
    """Copies are a point off their replicas. Times the factor of 11.4 that is 11 points; the run's two
    seeds lie two points apart, so three points are beyond, and one and a half are not."""
    for by, beyond in ((0.03, ("test_accuracy",)), (0.015, ())):
        test = examine(CELL, [ended(own, own - by, own - 0.01) for own in (0.92, 0.94)])
        assert test.seen == ("test_accuracy",)
        assert (test.beyond, test.inside) == (beyond, not beyond)


def test_a_metric_that_copies_lose_as_well_may_be_lost() -> None:
    """Whether it is defined is as chaotic as they are; where no copy loses it, that is a change."""
    for copy, beyond in ((0.9, ()), (None, ("test_accuracy",))):
        assert examine(CELL, [ended(None, 0.9, copy)]).beyond == beyond


def test_one_seed_has_no_other_to_lie_apart_from() -> None:
    """So what copies do counts with the whole factor: 11 points of accuracy."""
    for by, beyond in ((0.03, ()), (0.12, ("test_accuracy",))):
        assert examine(CELL, [ended(0.94, 0.94 - by, 0.93)]).beyond == beyond


# How often rounding alone leaves it


def strays(random: np.random.Generator, seeds: int, copies: int, power: float, rate: float) -> bool:
    """Whether all seeds are outside where jumps alone part the runs. The number of jumps by time t is
    (rate t)^power: constant for power 1, growing above, decreasing below."""
    times = random.exponential(size=(seeds, copies + 1)) ** (1 / power) / rate
    drawn = [seed(flat(), jumping(own[0]), *map(jumping, own[1:])) for own in np.ceil(times)]
    return not examine(CELL, drawn).inside


def rates(seeds: int, copies: int, power: float) -> list[float]:
    """Rates at which the first copy jumps in the middle, and near the end, of a trajectory."""
    n = seeds * copies
    return [(expected / n) ** (1 / power) / STEPS for expected in (seeds * 4.0, seeds * 1.0, 1.0)]


@pytest.mark.parametrize("power", [1.0, 2.0], ids=["constant", "growing"])
@pytest.mark.parametrize(("seeds", "copies"), [(1, 2), (2, 2), (2, 4), (3, 2)])
@pytest.mark.slow
def test_the_risk_bounds_what_jumps_do(seeds: int, copies: int, power: float) -> None:
    """Coverage, simulated: 600 comparisons at each of three rates, the worst of which leave the
    envelope no more often than the bound says, and at the worst rate not ten times less often.

    Beyond the bound p by three standard deviations of the count is a chance below .2 % each.
    """
    random = np.random.default_rng([seeds, copies, int(10 * power)])
    bound, runs = risk(seeds * copies, seeds), 600
    counts = [
        sum(strays(random, seeds, copies, power, rate) for _ in range(runs))
        for rate in rates(seeds, copies, power)
    ]
    assert max(counts) <= runs * bound + 3 * math.sqrt(runs * bound * (1 - bound))
    if power == 1:
        assert max(counts) >= runs * bound / 10


def exact(n: int, seeds: int, end: float, power: float = 1.0) -> float:
    """Chance that jumps bring all seeds outside before ``end``, in units of expected jumps: each in the
    first half of the time until a copy's, or before the end if no copy does. By integration."""
    t = np.linspace(0, end, 20_001)
    inner = n * np.exp(-n * t) * (1 - np.exp(-t / 2**power)) ** seeds
    ahead = float(np.sum((inner[1:] + inner[:-1]) / 2 * np.diff(t)))
    return ahead + (1 - math.exp(-end)) ** seeds * math.exp(-n * end)


@given(st.integers(1, 8), st.integers(1, MOST), st.floats(0.01, 30))
def test_the_risk_is_above_the_exact_chance(seeds: int, copies: int, expected: float) -> None:
    """For any rate, which is any length of the trajectory; 1e-6 is the integration's error."""
    n = seeds * copies
    assert exact(n, seeds, expected / n) <= risk(n, seeds) * (1 + 1e-6)


@pytest.mark.parametrize(("seeds", "loose"), [(1, 2.0), (3, 2.0), (5, 2.0), (8, 2.0)])
def test_the_risk_is_not_far_above_the_worst_chance(seeds: int, loose: float) -> None:
    """Else more copies than needed are trained: less than a factor of two, with many copies."""
    n = 200 * seeds
    worst = max(exact(n, seeds, expected / n) for expected in np.geomspace(0.1, 5 * seeds, 60))
    assert risk(n, seeds) < loose * worst


@pytest.mark.parametrize(
    ("power", "seeds", "least", "most"),
    [(0.5, 3, 1.1, 1.2), (0.0, 1, 1.1, 1.2), (0.0, 3, 2.6, 2.9), (0.0, 5, 4.3, 4.9)],
)
def test_a_decreasing_rate_exceeds_the_bound_by_so_much(
    power: float, seeds: int, least: float, most: float
) -> None:
    """The number of jumps grows as t^power. With power 0 all come at once, and which come first is
    chance: 1 / C(n + S, S), about S! / n^S. This is the most by which the bound can be exceeded:
    S! / (S!/2^S + (S/e)^S), 2.9-fold under three seeds and 1.15-fold under one; with a rate that falls
    as 1 / sqrt(t), 1.2-fold."""
    n = 40 * seeds
    worst = max(
        exact(n, seeds, expected / n, power) for expected in np.geomspace(0.1, 10 * seeds, 60)
    )
    assert least < worst / risk(n, seeds) < most
    if not power:
        assert worst == pytest.approx(1 / math.comb(n + seeds, seeds), rel=1e-3)


def test_risk_by_hand() -> None:
    """S!/(2n)^S + (S/(e n))^S."""
    assert risk(0, 3) == 1
    assert risk(1, 1) == pytest.approx(1 / 2 + 1 / math.e)
    assert risk(12, 3) == pytest.approx(6 / 24**3 + (3 / (12 * math.e)) ** 3)
    assert risk(2, 6) == 1, "never more than certain"
    assert 0 < risk(12 * 120, 120) < 1e-100, "many seeds do not overflow"


# How many copies


@given(st.integers(1, 300), st.integers(1, 250), st.floats(1e-4, 0.5))
def test_copies_needed_solves_its_inequality(cells: int, seeds: int, level: float) -> None:
    """The fewest copies of each replica that hold the level together, between the limits."""
    k = copies_needed(cells, seeds, level)
    assert FEWEST <= k <= MOST
    held = [c for c in range(1, MOST + 1) if cells * risk(c * seeds, seeds) <= level]
    # At equality the two sides of the inequality round apart.
    assert k == max(min(held, default=MOST), FEWEST) or cells * risk(
        k * seeds, seeds
    ) == pytest.approx(level, rel=1e-9)


def test_no_cells_need_no_more_than_the_fewest() -> None:
    """Nothing divides by zero."""
    assert copies_needed(0, 3, 0.025) == copies_needed(3, 0, 0.025) == FEWEST


@pytest.mark.parametrize("level", [0.025, 0.025 / 60, 1e-9])
def test_the_seeds_that_would_decide(level: float) -> None:
    """Hold the level with the most copies, and one seed less does not."""
    number = int(seeds_for(level).split()[0])
    assert risk(MOST * number, number) <= level
    assert number == 1 or risk(MOST * (number - 1), number - 1) > level
    assert seeds_for(0.0) == "more than 20 seeds"


# Leaving one out


def test_leave_one_out_counts_copies_inside_the_others_envelope() -> None:
    """Six copies, one of which strays beyond the factor and cannot cover itself."""
    small = [flat() + size for size in (1e-4, 2e-4)]
    seeds = [
        seed(flat(), flat(), *small, jumping(30)),
        seed(flat(), flat(), *small, flat(), level=0.4),
    ]
    assert of(seeds).leave_one_out() == (5, 6)
    assert of([seed(flat(), flat(), *small, small[0], small[1])]).leave_one_out() == (4, 4)
    assert of([seed(flat(), flat(), *small)]).leave_one_out() == (2, 2)
    assert of([seed(flat(), flat(), flat())]).leave_one_out() == (1, 1)


# Where it begins


NAMES = ("kernel", "moving mean", "output", "logits in inference", "gradient")
LOOKS = (0, 1, 10, 100)
Change = Callable[[int, str], float]


def tensors(change: Change = lambda step, name: 0.0, looks: Sequence[int] = LOOKS) -> Tensors:
    """Fingerprints of tensors of which all entries are off by a relative ``change``."""
    random = np.random.default_rng(5)
    drawn = {name: random.normal(size=50) for name in NAMES}
    return fingerprints(
        {
            step: {name: value * (1 + change(step, name)) for name, value in drawn.items()}
            for step in looks
        }
    )


def traced(
    losses: tuple[Any, Any],
    changed: Tensors | None,
    copies: Sequence[Tensors | None] = (tensors(lambda *_: 1e-7),),
    run: Tensors | None = tensors(),  # noqa: B008 - fingerprints do not change
) -> Seed:
    return Seed(
        trace(losses[0], run),
        trace(losses[1], changed),
        [trace(losses[0], copy) for copy in copies],
    )


OUT = (jumping(0), flat())
SAME = (flat(), flat())


def since(step: int, name: str, size: float = 1e-3) -> Change:
    return lambda s, n: size if (s, n) == (step, name) else 0.0


def of(seeds: Sequence[Seed]) -> Differences:
    return Differences.of(CELL, seeds)


@pytest.mark.parametrize(("step", "name"), list(itertools.product(LOOKS, NAMES)))
def test_the_first_tensor_in_the_order_of_the_computation_is_named(step: int, name: str) -> None:
    """All later ones are off, too; the first is named with its size, what is allowed, and the look at
    which all was well."""
    order = [(s, n) for s in LOOKS for n in NAMES]
    first = order.index((step, name))
    later = tensors(lambda s, n: 1e-3 if order.index((s, n)) >= first else 0.0)
    test = examine(CELL, [traced(OUT, later), traced(OUT, later)])
    found = test.departure
    assert found is not None
    assert (found.step, found.tensor) == (step, name)
    assert found.earlier == (None if step == 0 else LOOKS[LOOKS.index(step) - 1])
    # Both numbers of the fingerprint are off by 1e-3 of themselves; by how much of the root mean
    # square the sum is depends on the draw of signs.
    assert found.distance is not None
    assert 0.7e-3 < found.distance < 5e-3
    # Copies are 1e-7 off, where float32 resolves 2^-24 of each number: 0 to 2.2e-7.
    assert FACTOR * 2.0**-23 <= found.allowed < FACTOR * 3e-7
    told = describe(test)
    assert f"it begins in {name}, which departs by 0.00" in told
    assert f"before step {step}" in told
    assert ("all was within rounding" in told) is (step > 0)


def test_a_tensor_must_depart_under_every_seed() -> None:
    """One that strays under one seed alone is passed over for the next."""
    both = tensors(since(10, "output"))
    one = tensors(lambda s, n: 1e-3 if (s, n) in ((1, "kernel"), (10, "output")) else 0.0)
    found = departed(CELL, [traced(OUT, one), traced(OUT, both)])
    assert found is not None
    assert (found.step, found.tensor, found.earlier) == (10, "output", 1)


def test_copies_say_what_rounding_explains() -> None:
    """A tensor in which a copy of any seed is as far off is no departure; one in which copies agree
    may be off by a unit in the last place times the factor."""
    wild = tensors(since(1, "kernel", 1e-4))
    changed = tensors(lambda s, n: 1e-3 if (s, n) in ((1, "kernel"), (100, "gradient")) else 0.0)
    quiet = traced(OUT, changed, [tensors()])
    found = departed(CELL, [quiet, traced(OUT, changed, [tensors(), wild])])
    assert found is not None
    assert (found.step, found.tensor) == (100, "gradient")
    assert found.allowed == pytest.approx(FACTOR * np.finfo(np.float32).eps)
    alone = departed(CELL, [quiet])
    assert alone is not None
    assert (alone.step, alone.tensor) == (1, "kernel")


def test_a_zero_that_became_a_number_departs() -> None:
    """JSON has no infinity: None stands for it."""
    found = departed(CELL, [traced(OUT, tensors(since(1, "gradient", -1.0)))])
    assert found is not None
    assert found.distance is None
    test = examine(CELL, [traced(OUT, tensors(since(1, "gradient", -1.0)))])
    assert "which is zero or not finite on one side alone" in describe(test)


@pytest.mark.parametrize(("step", "name"), list(itertools.product(LOOKS, NAMES)))
def test_tensors_of_the_first_steps_decide_and_later_ones_that_losses_do_not_see(
    step: int, name: str
) -> None:
    """No loss differs. Before steps 0 and 1 every tensor decides; later a moving statistic and the
    logits of inference do. Other tensors that depart while losses agree have jumped, or cancel: no
    change by themselves."""
    test = examine(CELL, [traced(SAME, tensors(since(step, name)))])
    unseen = name in ("moving mean", "logits in inference")
    assert test.inside is not (step <= 1 or unseen)
    assert (test.departure is None) is test.inside
    if test.departure is not None:
        assert (test.departure.tensor, test.departure.step) == (name, step)
        assert test.first_step is None
        assert "losses stay within rounding (envelope of 1 copies" in describe(test)


def test_a_statistic_that_a_copy_moves_at_the_next_look_is_rounding() -> None:
    """Before step 10 it departs; a copy does so before step 100. As with losses, the envelope looks
    ahead where chaos may have begun, and not before steps 0 and 1."""
    changed = tensors(since(10, "moving mean"))
    late, earlier = (tensors(since(step, "moving mean")) for step in (100, 0))
    assert examine(CELL, [traced(SAME, changed, [late])]).inside
    assert not examine(CELL, [traced(SAME, changed, [earlier])]).inside
    changed = tensors(since(1, "moving mean"))
    later = tensors(since(10, "moving mean"))
    assert not examine(CELL, [traced(SAME, changed, [later])]).inside


def test_a_gradient_that_may_as_well_be_zero_decides_nothing() -> None:
    """Copies are off by more and more of a gradient. Once the factor makes that the whole of it, no
    tensor decides."""
    drawn = np.random.default_rng(5).normal(size=50)

    def moved(size: float) -> Tensors:
        return fingerprints({0: {"layer 1, kernel, gradient": drawn * (1 + size)}})

    for size, blind in ((0.01, False), (0.08, False), (0.1, True), (0.15, True)):
        test = examine(CELL, [traced(OUT, moved(0), [moved(size)], run=moved(0))])
        assert test.sensitivity is not None
        assert (test.sensitivity >= 1) is blind
        assert test.decisive is not blind


@pytest.mark.parametrize("which", ["run", "baseline", "copies", "other looks", "other per seed"])
def test_without_fingerprints_nothing_is_located(which: str) -> None:
    """Losses are compared all the same: an older baseline has none, or took them elsewhere."""
    changed, own = tensors(since(1, "kernel")), tensors()
    seeds = {
        "run": [traced(OUT, changed, run=None)],
        "baseline": [traced(OUT, None)],
        "copies": [traced(OUT, changed, [None, None])],
        "other looks": [traced(OUT, tensors(looks=(2, 20)))],
        "other per seed": [
            traced(OUT, changed),
            traced(
                OUT,
                tensors(since(2, "kernel"), (2, 20)),
                [tensors(looks=(2, 20))],
                run=tensors(looks=(2, 20)),
            ),
        ],
    }[which]
    assert own is not changed
    test = examine(CELL, seeds)
    assert not test.inside
    assert test.departure is None


def test_seeds_without_fingerprints_leave_the_others() -> None:
    """One side of one seed has none: the others locate it."""
    changed = tensors(since(1, "kernel"))
    found = departed(CELL, [traced(OUT, None), traced(OUT, changed)])
    assert found is not None
    assert (found.step, found.tensor) == (1, "kernel")


def test_a_copy_without_fingerprints_leaves_the_others() -> None:
    """What the rest of them shows is the envelope."""
    wild = tensors(since(1, "kernel", 1e-2))
    changed = tensors(since(1, "kernel"))
    assert departed(CELL, [traced(OUT, changed, [None, wild])]) is None


def test_both_sides_diverged_alike_locate_nothing() -> None:
    """All NaN before step 100, with other bits: no departure in a moving statistic."""
    run, changed = (tensors(since(100, "moving mean", value)) for value in (math.nan, -math.nan))
    assert examine(CELL, [traced(SAME, changed, [tensors()], run=run)]).inside is True


# Sums in another order


def _normalized(share: float, *, tensor: str = "layer 1, normalized", step: int = 0) -> Departure:
    """A departure of this share of N u, N = 28 x 28 x 50."""
    distance = share * 28 * 28 * 50 * 2.0**-24
    return Departure(step=step, earlier=None, tensor=tensor, distance=distance, allowed=1e-6)


CNN = Cell(architecture="cnn", normalization="batch", batch=50)


def test_a_variance_over_a_background_is_rounded_in_proportion_to_its_terms() -> None:
    """Float32 squares of 39,200 numbers, 58 % of them one and the same, added up one after the other:
    the error is more than five times what terms of random sign would have, u sqrt(N / 6), and below
    N u."""
    random = np.random.default_rng(0)
    count, unit = 28 * 28 * 50, 2.0**-24
    errors = []
    for _ in range(20):
        numbers = np.where(random.random(count) < 0.58, 0.0, random.normal(0.1, 0.5, count))
        squares = np.square(numbers - numbers.mean()).astype(np.float32)
        in_turn = np.add.accumulate(squares, dtype=np.float32)[-1]
        errors.append(abs(float(in_turn) / math.fsum(squares.tolist()) - 1))
    assert max(errors) < count * unit
    assert np.median(errors) > 5 * unit * math.sqrt(count / 6)


OWN = Cell(
    own=OwnModel(name="a.b", source="0", longest=600, normalized=(("block/norm", 39_200),)),
    engine="fit",
)


def test_a_model_of_the_users_has_sums_of_its_own() -> None:
    """sqrt(N / 6) of the longest, whatever MNIST's pixels are."""
    assert rounding_factor(OWN) == 10.0


@pytest.mark.parametrize(
    ("cell", "departure", "explained"),
    [
        (CNN, _normalized(0.99), True),
        (CNN, _normalized(1.01), False),
        (CNN, _normalized(0.24, tensor="layer 2, normalized"), True),  # behind pooling: N / 4
        (CNN, _normalized(0.26, tensor="layer 2, normalized"), False),
        (CNN, _normalized(0.1, tensor="layer 1, kernel output"), False),
        (CNN, _normalized(0.1, step=1), False),
        (CNN, None, False),
        (Cell(architecture="cnn", batch=50), _normalized(0.1), False),
        (Cell(normalization="batch", batch=50), _normalized(0.1), False),
        (OWN, _normalized(0.99, tensor="block/norm, output"), True),
        (OWN, _normalized(1.01, tensor="block/norm, output"), False),
        (OWN, _normalized(0.1, tensor="dense, output"), False),
    ],
)
def test_what_another_order_of_adding_up_explains(
    cell: Cell, departure: Departure | None, explained: bool
) -> None:
    """A difference that begins in a convolution's batch normalization before any step, below N u."""
    assert bool(summed_otherwise(cell, departure)) is explained
