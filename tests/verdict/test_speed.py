"""Tests of the comparison of speeds. ``speed_rates.py`` beside it measures rates at length.

Rates are held against the 99.9 % quantile of the binomial distribution.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics.sequential import levels
from bench.verdict.speed import (
    ALPHA,
    LOOKS,
    MARGIN,
    MARGINS,
    SIGNED_RANKS,
    Ratio,
    judge,
    log_ratios,
    unsettled,
)
from support.pages import excerpts
from verdict import speed_rates
from verdict.speed_rates import MADE_UP, PLANTED, fitted, made_up, rates, simulated_round

QUIET = MADE_UP["quiet"]


def rounds(between: list[float], within: list[float] | None = None) -> np.ndarray:
    """Rounds whose two restarts have the log ratios ``between`` (two a round, in turn), and whose later
    processes lie ``within`` (one per round) above the earlier ones on both sides."""
    number = len(between) // 2
    shift = np.zeros(number) if within is None else np.asarray(within)
    log = np.zeros((number, 4, 4, 2))
    log[:, :, 1] = np.reshape(between, (number, 2))[:, 0, None, None]
    log[:, :, 2] = shift[:, None, None]
    log[:, :, 3] = np.reshape(between, (number, 2))[:, 1, None, None] + shift[:, None, None]
    return 0.2 * np.exp(log)


def spread(mean: float, deviation: float, size: int = 8) -> list[float]:
    """Values with this mean and sample standard deviation, the same two in each round."""
    signs = np.resize([1.0, 1.0, -1.0, -1.0], size)
    return list(mean + deviation * signs * math.sqrt((size - 1) / size))


def above(rate: float, trials: int) -> float:
    """More hits than this are not to be expected at this rate."""
    return float(stats.binom.ppf(0.999, trials, rate))


def test_a_ratio_in_words() -> None:
    """Changes in percent; what is rounded to 0 is not called faster."""
    assert str(Ratio(1.0123, 0.997, 1.0268)) == "+1.2 % (-0.3 to +2.7)"
    assert str(Ratio(0.9998, 0.99951, 1.0)) == "+0.0 % (+0.0 to +0.0)"
    assert str(Ratio(1.0, 0.9994, 1.0006)) == "+0.0 % (-0.1 to +0.1)"


# Log ratios


def test_log_ratios_by_hand() -> None:
    """One block: old 1 and 4 s, new 8 and 8; then old 2 and 2, new 4 and 1. The shorter ones are 1, 8,
    2 and 1: ratios of 8 and 1/2; later over earlier, 2 and 1/8."""
    seconds = np.array([[[[1.0, 4.0], [8.0, 8.0], [2.0, 2.0], [4.0, 1.0]]]])
    between, within = log_ratios(seconds)
    np.testing.assert_allclose(between, [[math.log(8), -math.log(2)]])
    np.testing.assert_allclose(within, [[math.log(2), -math.log(8)]])


def test_one_disturbed_block_of_four_counts_little() -> None:
    """The median of -1, 0, 1 and 100 is .5."""
    log = np.zeros((1, 4, 4, 2))
    log[0, :, 1, :] = np.array([-1.0, 0.0, 1.0, 100.0])[:, None]
    assert log_ratios(np.exp(log))[0][0, 0] == pytest.approx(0.5)


@given(st.integers(0, 2**32), st.floats(0.01, 100), st.floats(0.5, 2))
def test_only_ratios_count(seed: int, unit: float, slower: float) -> None:
    """Of all times alike, no matter; of the new side's times, exactly the factor."""
    seconds = np.exp(np.random.default_rng(seed).normal(size=(2, 4, 4, 2)))
    between, within = log_ratios(seconds)
    scaled = unit * seconds
    scaled[:, :, 1::2] *= slower
    after, same = log_ratios(scaled)
    np.testing.assert_allclose(after, between + math.log(slower), atol=1e-12)
    np.testing.assert_allclose(same, within, atol=1e-12)


@given(st.integers(0, 2**32))
def test_the_conclusion_turns_with_the_sides(seed: int) -> None:
    """Old and new swapped: the ratio is the inverse, slower becomes faster, the floor stays. ``not
    slower`` is one-sided, and has no mirror image."""
    random = np.random.default_rng(seed)
    seconds = np.exp(random.normal(0.03, 0.02, (4, 4, 4, 2)))
    seconds[:, :, 1::2] *= np.exp(random.normal(0, 0.05))
    one = judge({"w": seconds})["w"]
    other = judge({"w": seconds[:, :, [1, 0, 3, 2]]})["w"]
    turned = {"slower": "faster", "faster": "slower"}
    if not {one.verdict, other.verdict} & {"not slower", "undecided"}:
        assert other.verdict == turned.get(one.verdict, one.verdict)
    assert other.ratio.estimate == pytest.approx(1 / one.ratio.estimate)
    assert other.ratio.low == pytest.approx(1 / one.ratio.high)
    assert other.floor == pytest.approx(one.floor)
    assert other.spread == pytest.approx(one.spread[::-1])
    assert other.seconds == one.seconds[::-1]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_times_are_above_zero(bad: float) -> None:
    """A clock that stands still or runs back has measured nothing."""
    seconds = rounds([0.0] * 8)
    seconds[1, 2, 3, 0] = bad
    with pytest.raises(ValueError, match=re.escape("a burst takes more than 0 s")):
        judge({"w": seconds})


@pytest.mark.parametrize("shape", [(4, 4, 2, 2), (4, 4, 4), (4, 4, 4, 3)])
def test_another_shape_is_an_error(shape: tuple[int, ...]) -> None:
    """It names what is expected and what came."""
    with pytest.raises(ValueError, match=re.escape(f"(rounds, blocks, 4, 2), not {shape}")):
        judge({"w": np.ones(shape)})


# Conclusions


def test_the_interval_is_students() -> None:
    """8 restarts with a mean of .05 and a deviation of .01, at the first of three looks.

    The level is .05 ln(1 + (e - 1)/4) = .01787; t_7(.991066) = 3.0805 (scipy.stats), so the half
    width is 3.0805 * .01/sqrt(8) = .01089.
    """
    speed = judge({"w": rounds(spread(0.05, 0.01))})["w"]
    level = ALPHA * math.log1p((math.e - 1) / 4)
    half = stats.t.ppf(1 - level / 2, 7) * 0.01 / math.sqrt(8)
    assert (speed.level, half) == pytest.approx((0.01787, 0.01089), rel=1e-3)
    assert speed.ratio == pytest.approx(np.exp([0.05, 0.05 - half, 0.05 + half]))
    assert (speed.verdict, speed.restarts, speed.promising) == ("slower", 8, False)
    assert speed.seconds == pytest.approx((0.2, 0.2 * math.exp(0.05)), rel=0.02)


@pytest.mark.parametrize(
    ("mean", "deviation", "verdict", "promising"),
    [
        # The half width is 1.089 times the deviation; the margin is log(1.02) = .01980.
        (0.0, 0.0, "same", False),
        (0.0, 0.010, "same", False),
        (0.0, 0.0180, "same", False),  # half .0196
        (0.0, 0.0185, "same within 5 %", True),  # half .0201
        (0.010, 0.007, "same", False),  # .0024 to .0176: slower, but less than matters
        (-0.010, 0.007, "same", False),
        (0.014, 0.007, "slower", False),  # .0064 to .0216, narrower than the margin
        (0.015, 0.013, "slower", True),  # .0008 to .0292: wider
        (0.015, 0.014, "same within 5 %", True),  # -.0002 to .0302
        (0.015, 0.0295, "same within 5 %", True),  # -.0171 to .0471; log(1.05) = .0488
        (0.015, 0.032, "undecided", True),  # -.0198 to .0498
        (0.040, 0.038, "undecided", True),  # -.0014 to .0814: a slowdown is likely, and not shown
        (-0.015, 0.014, "not slower", False),  # -.0302 to .0002
        (-0.010, 0.020, "not slower", False),  # -.0318 to .0118
        (-0.030, 0.060, "not slower by 5 %", True),  # -.0953 to .0353
        (-0.015, 0.013, "faster", False),  # -.0292 to -.0008: what is asked is answered
        (0.0265, 0.0023, "slower", False),  # 3 % measured a little short, .0240 to .0290
        (0.300, 0.100, "slower", False),  # .19 to .41: wide, but all beyond the margin
        (-0.014, 0.007, "faster", False),
        (-0.300, 0.100, "faster", False),
    ],
)
def test_verdicts(mean: float, deviation: float, verdict: str, promising: bool) -> None:
    """From the interval alone, after 8 restarts without any noise between processes of a side."""
    speed = judge({"w": rounds(spread(mean, deviation))})["w"]
    assert (speed.name, speed.promising) == (verdict, promising)
    assert (speed.margin > MARGIN) == (verdict == "undecided" or "5 %" in verdict)
    assert set(unsettled({"w": rounds(spread(mean, deviation))})) == ({"w"} if promising else set())


def test_what_may_be_faster_and_is_not_slower_is_decided() -> None:
    """An idle Intel machine said -5.9 % to +0.7 %: whatever is true, NEW is not slower by 2 %."""
    low, high = math.log(0.941), math.log(1.007)
    speed = judge({"w": rounds(spread((low + high) / 2, (high - low) / 2 / 1.089))})["w"]
    assert str(speed.ratio).endswith("% (-5.9 to +0.7)")
    assert (speed.name, speed.promising) == ("not slower", False)
    assert speed.reason == f"not slower: {speed.ratio}"


def test_a_wider_margin_is_named() -> None:
    """What cannot be said at 2 % is said at 5 %, in the reason too; a slowdown that is shown stays one,
    and so does what is still open."""
    within = judge({"w": rounds(spread(0.015, 0.014))})["w"]
    assert (within.verdict, within.margin) == ("same", MARGINS[1])
    assert within.reason == f"same within 5 %: {within.ratio}"
    strict = judge({"w": rounds(spread(0.015, 0.014))}, margins=[MARGIN])["w"]
    assert (strict.verdict, strict.margin) == ("undecided", MARGIN)
    shown = judge({"w": rounds(spread(0.030, 0.015))})["w"]  # .0137 to .0463, within 5 %
    assert (shown.verdict, shown.margin) == ("slower", MARGIN)


def test_a_reason_says_how_many_restarts_it_takes() -> None:
    """Around .02 an interval decides at 5 % (.0488) once it is narrower than .0288 on either side. The
    half width is .0545: (1.892)^2 times as many restarts, 28.7."""
    reason = judge({"w": rounds(spread(0.02, 0.05))})["w"].reason
    assert reason == (
        "anything from -3.4 % to +7.7 % remains possible after 8 restarts; about 29 would decide"
    )


def test_a_wide_interval_that_the_last_look_cannot_mend_is_given_up() -> None:
    """At 32 restarts the half width is z(1 - .0095) sqrt(pi/3) / sqrt(32) = .424 times the deviation:
    .15 * .424 is beyond both margins, so that not even a mean of 0 could be shown; .1 * .424 is not
    beyond the wider one."""
    assert not unsettled({"w": rounds(spread(0.0, 0.15))})
    assert unsettled({"w": rounds(spread(0.0, 0.1))}) == {"w"}
    assert unsettled({"w": rounds(spread(0.08, 0.15))}) == {"w"}  # a large change may yet be shown
    assert unsettled({"w": rounds(spread(-0.04, 0.15))}) == {"w"}  # or that it is not slower
    assert judge({"w": rounds(spread(0.08, 0.15))})["w"].verdict == "undecided"


def test_what_is_decided_at_the_wider_margin_goes_on_for_the_narrower_one_alone() -> None:
    """-.022 to .022 after 8 restarts may become narrower than 2 % (.424 * .02); after 8 rounds, with a
    deviation that leaves no hope of that (.424 * .05 = .0212), ``same within 5 %`` is the last word."""
    assert unsettled({"w": rounds(spread(0.0, 0.02))}) == {"w"}
    wide = rounds(spread(0.0, 0.05, SIGNED_RANKS))
    assert judge({"w": wide})["w"].name == "same within 5 %"
    assert not unsettled({"w": wide})


def test_late_only_what_is_undecided_goes_on() -> None:
    """As the last look saw it: that no rounds are chosen for what they say themselves."""
    within, open_ = rounds(spread(0.0, 0.02)), rounds(spread(0.0, 0.06))
    assert unsettled({"a": within, "b": open_}) == {"a", "b"}
    assert unsettled({"a": within, "b": open_}, late=True) == {"b"}
    later = np.concatenate([open_, within])[:6]
    assert unsettled({"b": later}, late=True) == {"b"}
    settled = np.concatenate([within, open_])[:6]
    assert unsettled({"a": settled}) == {"a"}
    assert not unsettled({"a": settled}, late=True)
    assert unsettled({"w": within[:2]}, late=True) == {"w"}  # no look has seen it


@pytest.mark.parametrize("size", [16, 18, 32])
@pytest.mark.parametrize("shape", ["normal", "t", "two states"])
@pytest.mark.slow
def test_the_interval_of_many_holds_its_level(size: int, shape: str) -> None:
    """Whatever the symmetric distribution: it misses the centre in no more than the level says."""
    random = np.random.default_rng(size)
    drawn = {
        "normal": lambda: random.normal(size=(2, size)),
        "t": lambda: random.standard_t(2, size=(2, size)),
        "two states": lambda: (
            0.2 * (random.random((2, size)) < 0.25) + 0.01 * random.random((2, size))
        ),
    }[shape]
    found = [judge({"w": rounds(list(np.subtract(*drawn())))})["w"] for _ in range(500)]
    missed = sum(not speed.ratio.low <= 1 <= speed.ratio.high for speed in found)
    assert missed <= above(found[0].level, 500)


def test_the_interval_of_many_is_scipys_test_inverted() -> None:
    """The centre's bounds are where SciPy's signed-rank test stops to reject."""
    values = np.random.default_rng(1).normal(0.01, 0.02, 16)
    speed = judge({"w": rounds(list(values))})["w"]

    def p_value(centre: float) -> float:
        return float(stats.wilcoxon(values - centre, method="exact").pvalue)

    for bound, outward in ((speed.ratio.low, -1e-9), (speed.ratio.high, 1e-9)):
        assert (
            p_value(math.log(bound) + outward) <= speed.level < p_value(math.log(bound) - outward)
        )


def test_a_disturbed_restart_does_not_hide_a_slowdown() -> None:
    """One in eight ran beside something else, 40 % slower or faster: after 8 restarts nothing can be
    said, and it goes on; after 16 the others decide."""
    quiet = spread(0.05, 0.008, 16)
    values = [0.4 if index == 3 else -0.4 if index == 12 else v for index, v in enumerate(quiet)]
    assert judge({"w": rounds(values[:8])})["w"].verdict == "undecided"
    assert unsettled({"w": rounds(values[:8])}) == {"w"}
    assert judge({"w": rounds(values)})["w"].verdict == "slower"


def test_the_floor_forbids_a_conclusion() -> None:
    """Processes of one side that differ by what would be called a change: no change is believed."""
    restarts = spread(0.10, 0.01)
    assert judge({"w": rounds(restarts)})["w"].verdict == "slower"
    for shift in (0.05, -0.05):
        speed = judge({"w": rounds(restarts, [shift - 0.01, shift, shift, shift + 0.01])})["w"]
        assert speed.verdict == "undecided"
        assert speed.floor.estimate == pytest.approx(math.exp(shift))
        assert speed.reason.startswith("machine too noisy: processes of the same side differ by")
        assert speed.spread == pytest.approx((0.05, 0.05), rel=0.02)
        assert speed.promising


def test_a_floor_within_what_matters_is_no_obstacle() -> None:
    """Later processes .2 % slower throughout: certain, and without importance."""
    speed = judge({"w": rounds(spread(0.10, 0.01), [0.002] * 4)})["w"]
    assert speed.floor.low > 1
    assert speed.verdict == "slower"


# Looks and families


def test_every_workload_counts_in_the_correction() -> None:
    """Also one that crashed and has no rounds; each gets an equal part of the level."""
    measured = rounds(spread(0.05, 0.01))
    found = judge({"a": measured, "b": measured, "crashed": [], "d": measured})
    assert set(found) == {"a", "b", "d"}
    assert found["a"].level == pytest.approx(levels(LOOKS, ALPHA / 4)[0])


@pytest.mark.parametrize("number", range(1, LOOKS[-1] + 1))
def test_rounds_belong_to_the_look_that_they_were_made_for(number: int) -> None:
    """5 rounds were on the way to the look at 8, and have its level; between looks all go on."""
    measured = rounds(list(np.resize([0.03, 0.03, -0.03, -0.03], 2 * number)))
    look = next(index for index, at in enumerate(LOOKS) if number <= at)
    assert judge({"w": measured})["w"].level == pytest.approx(levels(LOOKS, ALPHA)[look])
    if number not in LOOKS:
        assert set(unsettled({"w": measured})) == {"w"}
    if number == LOOKS[-1]:
        assert not unsettled({"w": measured})


def test_a_workload_without_rounds_goes_on() -> None:
    """It has not been looked at."""
    assert set(unsettled({"w": []})) == {"w"}


def test_more_rounds_than_the_last_look_are_an_error() -> None:
    """No level is left for them."""
    with pytest.raises(ValueError, match=re.escape("17 rounds, and the last look is at 16")):
        judge({"w": rounds([0.0] * 34)})


def test_nothing_measured_is_nothing_concluded() -> None:
    """And never an error."""
    assert judge({}) == {}
    assert not unsettled({})


# Rates in simulated runs


@pytest.mark.parametrize("noise", ["quiet", "biases of 2 %, two states", "biases of 4 %"])
@pytest.mark.slow
def test_no_false_alarms(noise: str) -> None:
    """In at most 2.5 % of runs is any workload called slower when none is, however noisy."""
    found = rates(MADE_UP[noise], 60, 0.0)
    assert found.alarms <= above(ALPHA / 2, 60)


def test_a_slowdown_is_seen() -> None:
    """On a quiet machine 3 % in one of five workloads is seen in 19 of 20 runs or more, and the others
    are not blamed."""
    found = rates(QUIET, 60, PLANTED)
    assert found.seen >= 60 - above(1 / 20, 60)
    assert found.alarms <= above(ALPHA / 2, 60)


def test_a_slowdown_that_matters_is_not_called_the_same() -> None:
    """At exactly the margin the interval misses it on the lower side in ALPHA/2 of runs of a single
    workload, all looks together."""
    noise = made_up(0.02, 0.02, 0.05)
    found = rates(noise, 200, MARGIN, workloads=1)
    assert found.wrong_same <= above(ALPHA / 2, 200)
    assert found.at_first > 50  # else it would mean little


def test_looking_again_and_again_does_not_inflate_alarms() -> None:
    """One workload, 200 runs, a noise that needs several looks: at most 2.5 %."""
    found = rates(MADE_UP["biases of 2 %"], 200, 0.0, workloads=1)
    assert found.restarts > 2 * LOOKS[0]
    assert found.alarms <= above(ALPHA / 2, 200)


def test_the_limits_of_time_cost_no_errors() -> None:
    """Checks of the quick tier on a machine that takes them to the limits, which depend on what was
    seen: intervals still hold, and few answers are undecided."""
    none, slow = (rates(MADE_UP["biases of 2 %"], 60, s, quick=True) for s in (0.0, PLANTED))
    assert none.missed + slow.missed <= above(ALPHA, 120)
    assert none.alarms <= above(ALPHA / 2, 60)
    assert slow.wrong_same <= above(ALPHA / 2, 60)
    assert none.open_runs <= above(0.1, 60)
    assert 200 < none.sec <= 300


def test_the_simulation_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals a third as wide cry wolf beyond that."""
    from bench.verdict import speed

    true = speed._interval

    def narrow(values: np.ndarray, level: float) -> Ratio:
        centre, low, high = true(values, level)
        return Ratio(centre, centre + (low - centre) / 3, centre + (high - centre) / 3)

    monkeypatch.setattr(speed, "_interval", narrow)
    found = rates(MADE_UP["biases of 4 %"], 200, 0.0, workloads=1)
    assert found.alarms > above(ALPHA / 2, 200)


def test_the_floor_is_as_noisy_as_the_comparison() -> None:
    """Same-side ratios vary as the ratios of restarts do: that makes them a measure of their noise."""
    random = np.random.default_rng(3)
    measured = np.array([simulated_round(QUIET, random, number, 0.0) for number in range(400)])
    between, within = log_ratios(measured)
    # A ratio of two standard deviations on 800 values each has a relative error of 1/sqrt(800).
    assert between.std() / within.std() == pytest.approx(1, abs=4 / math.sqrt(800))


def test_noise_is_recovered_from_rounds() -> None:
    """What is simulated with a bias of 3 % and bursts of 2 % is fitted with both."""
    noise = made_up(0.03, 0.02, 0.0)
    random = np.random.default_rng(4)
    measured = [simulated_round(noise, random, number, 0.02) for number in range(300)]
    found = fitted(enumerate(measured))
    # Half the mean of 600 products of normal values, each correlated by .9 or more: a relative error
    # of the variance of at most sqrt(2/600)/.9 = .064, half that of the deviation, four of which:
    assert found.bias == pytest.approx(0.03, rel=4 * 0.032)
    assert found.blocks.std() == pytest.approx(0.02, rel=0.1)


def test_common_rules_see_less_and_cry_wolf() -> None:
    """From the same bursts: 'mean:5%' misses 3 % in most runs, and Mann-Whitney, which takes bursts of
    one process for independent, blames some workload far more often than its level says: each of five
    at .025, so 11.9 % of runs."""
    found = speed_rates.simulated_conclusions(QUIET, 20)
    assert found["pytest-benchmark's `mean:5%`, all processes"].seen < 20 / 2
    wolf = found["Mann-Whitney at .05, one process a side"]
    assert wolf.alarms > above(1 - 0.975**5, wolf.alarms_of)
    assert found["`bench upgrade`"].alarms <= above(ALPHA / 2, 40)
    assert found["`bench upgrade`"].seen >= 20 - above(1 / 20, 20)


@pytest.mark.slow
def test_the_page_has_the_table_of_biases() -> None:
    """Of docs/verdicts.md, all but *before* and *intervals miss*, number by number."""
    (told,) = (one for one in excerpts() if one.text.startswith("| bias of a process"))
    shown = [told.headers, *(row for row in told.cells[1:] if row[1] == "now")]
    made = [[*row[:-2], row[-1]] for row in speed_rates.biases(200)]
    as_told = [
        [re.sub(r"^0(?=\.)", "", text.replace("%", " %")) for text in row] for row in made[1:]
    ]
    assert [row[1:] for row in shown] == [made[0][1:], *(row[1:] for row in as_told)]
    assert [row[0] for row in told.cells[1:] if row[0]] == [row[0] for row in as_told]
