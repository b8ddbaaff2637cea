"""Is the new side slower? Times of bursts that alternated between processes of both sides.

docs/verdicts.md says the same to readers, with rates of errors.

The unit is the restart: one process of each side, whose bursts were interleaved. What differs from
restart to restart, each process' own bias, cannot be averaged out by more bursts. What else disturbs a
burst only ever makes it longer, so the shorter of a process' two bursts in a block counts; a restart's
log ratio is the median over blocks. (A new side that stalls in fewer than half of its bursts is
therefore not called slower.) Restarts are alike and independent, so they have an interval: of 8,
Student's t of their mean; from 16 on, that of the signed-rank test (Hollander, Wolfe and Chicken 2014,
section 3.4) of their centre, which a few restarts beside somebody else's work do not widen. It takes
nothing for granted but symmetry: two processes of one environment may as well be swapped. (8 restarts
are too few for it: their lowest level is 2/2^8. Student's t for all leaves ten times as many workloads
undecided where one process in 16 is disturbed; see docs/verdicts.md.)

Two same-side ratios come from the same bursts of each round: the later over the earlier process of the
old side, and of the new side. Process by process they have the noise of the two restarts of the
round, and truly they are 1. Judged by the same rule they are the noise floor.

What is concluded from an interval [low, high] and the smallest change that matters, m:

- ``same``: it lies inside (-m, m). That is two one-sided tests (Schuirmann 1987).
- ``slower``: it lies above 0, and not inside (-m, m): slower, and perhaps by as much as matters.
  ``faster`` likewise.
- ``not slower``: it contains 0, and its upper end is below m. This is what an upgrade must show to be
  safe; how much faster NEW may be is not asked. It is a one-sided statement, wrong only if the truth
  lies above the interval, which two-sided intervals of this level allow for with half of it.
- ``undecided``: else. An interval narrower than m never is: if it contains 0 it lies inside.

A true slowdown of m or more is called ``same`` or ``not slower`` only if the interval misses it; one of
0 is called ``slower`` only if the interval misses 0.

What is undecided at the first of :data:`MARGINS` is judged by the next one, and its name says so:
``same within 5 %``, ``not slower by 5 %``. That the margin is chosen after looking costs nothing: all
verdicts are read off one interval, and as long as it holds the truth each of them is right, by
whatever margin. ``slower`` stays what is above 0 and not inside the first.

Restarts are added while the last look promises a verdict at the first margin or, where there is none
yet, at any (:func:`unsettled`).

All intervals of a run hold together with probability 1 - ALPHA: the level is divided by the number of
workloads (Bonferroni), and by that of looks (:func:`bench.statistics.sequential.levels`), whichever
workloads go on after a look and for whatever reason. (Time may be over between two looks, and is sooner
for what the last look decided: a choice between two intervals of one level. In simulated checks, all
such choices included, an interval misses in 2 % of runs.)
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

from bench.results.timings import MOST_ROUNDS
from bench.statistics.sequential import levels, looks

Array = npt.NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

#: The smallest change that matters. A slowdown of 3 % must be seen, and a margin of its own size cannot
#: promise that: an interval that misses it by a hair, on the lower side, would be ``same``. With 2 % an
#: interval must miss it by a third of its size.
MARGIN = 0.02

#: Margins in the order in which they are tried; the later ones are named wherever the verdict is told.
MARGINS = (MARGIN, 0.05)

#: Chance that any interval of the run misses what is true.
ALPHA = 0.05

#: Rounds, of two restarts each, after which workloads are judged: 4, 8 and 16.
LOOKS = tuple(looks(4, MOST_ROUNDS))

#: From so many restarts on, the interval is that of the signed-rank test.
SIGNED_RANKS = 16

Verdict = Literal["slower", "faster", "same", "not slower", "undecided"]


class Ratio(NamedTuple):
    """A ratio of times with its interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        """Changes in percent, '+1.2 % (-0.3 to +2.7)'."""
        estimate, low, high = self.percent
        return f"{estimate} % ({low} to {high})"

    @property
    def percent(self) -> tuple[str, str, str]:
        """Each as a change in percent with its sign, which is + of one that is rounded to 0."""
        estimate, low, high = (f"{round(100 * (value - 1), 1) + 0.0:+.1f}" for value in self)
        return estimate, low, high


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What is concluded of one workload."""

    verdict: Verdict
    margin: float
    """The one of :data:`MARGINS` by which it is."""
    reason: str
    """One line."""
    restarts: int
    ratio: Ratio
    """Time on the new side over time on the old one."""
    floor: Ratio
    """Later over earlier process of the same side, from as many pairs."""
    noisy: bool
    """Judged by the same rule, ``floor`` shows a difference: then nothing is concluded."""
    spread: tuple[float, float]
    """How far two processes of the old and of the new side lie apart: root mean square of the
    logarithm of their ratio."""
    seconds: tuple[float, float]
    """Median of a burst on the old and on the new side."""
    level: float
    """Chance that the interval misses what is true."""
    promising: bool
    """Another look can make it sharper in a way that matters."""

    @property
    def name(self) -> str:
        """The verdict, with its margin unless that is the first one: ``same within 5 %``."""
        return _name(self.verdict, self.margin)


def judge(
    rounds: Mapping[Key, Sequence[Any]],
    *,
    looks: Sequence[int] = LOOKS,
    margins: Sequence[float] = MARGINS,
    alpha: float = ALPHA,
) -> dict[Key, Speed]:
    """The conclusion on each workload that was measured.

    A workload is judged at the first look that has as many rounds as it, so one that time stopped
    short of a look counts as that look.

    Args:
        rounds: by workload, for each round the seconds of its bursts, shape (blocks, 4, 2): processes
            old, new, old, new; the first two started earlier. Workloads without rounds (they crashed)
            count in the correction.
        looks: rounds after which was looked, increasing.
        margins: smallest changes that matter, as ratios less 1, increasing.
        alpha: chance that any interval misses what is true.

    Raises:
        ValueError: a time that is not above 0, another shape, or more rounds than the last look.
    """
    spent = levels(looks, alpha / max(len(rounds), 1))
    judged = {}
    for key, measured in rounds.items():
        if len(measured) > looks[-1]:
            raise ValueError(f"{len(measured)} rounds, and the last look is at {looks[-1]}")
        if len(measured):
            look = bisect.bisect_left(looks, len(measured))
            last = (looks[-1], spent[-1]) if look < len(looks) - 1 else None
            judged[key] = _speed(
                np.asarray(measured, float), spent[look], last=last, margins=margins
            )
    return judged


def unsettled(
    rounds: Mapping[Key, Sequence[Any]],
    *,
    late: bool = False,
    looks: Sequence[int] = LOOKS,
    margins: Sequence[float] = MARGINS,
    alpha: float = ALPHA,
) -> Collection[Key]:
    """Workloads that need another round: those that no look has seen yet, and those that the last one
    left open and another one may decide. Rounds since do not count: if they had a say in when to stop,
    each would be a look.

    Args:
        rounds, looks, margins, alpha: :func:`judge`'s.
        late: time is short, so only for those that are undecided at every margin.
    """
    seen = {
        key: measured[: max((at for at in looks if at <= len(measured)), default=0)]
        for key, measured in rounds.items()
    }
    judged = judge(seen, looks=looks, margins=margins, alpha=alpha)
    open_ = {
        key
        for key, found in judged.items()
        if found.promising and (found.verdict == "undecided" or not late)
    }
    return (rounds.keys() - judged.keys()) | open_


def log_ratios(rounds: Array) -> tuple[Array, Array]:
    """Log ratios of each restart, and of each two processes of one side: the median over blocks of
    log(min(a1, a2) / min(b1, b2)), a1 and a2 the block's bursts of one process, b1 and b2 of the other.

    Args:
        rounds: seconds, shape (rounds, blocks, 4, 2).

    Returns:
        new over old, shape (rounds, 2), one per restart; and later over earlier, shape (rounds, 2),
        old and new side.

    Raises:
        ValueError: a time that is not above 0, or another shape.
    """
    if rounds.ndim != 4 or rounds.shape[2:] != (4, 2):
        raise ValueError(f"seconds have the shape (rounds, blocks, 4, 2), not {rounds.shape}")
    if not (rounds > 0).all():
        raise ValueError(f"a burst takes more than 0 s: {rounds.min()}")
    log = np.log(rounds).min(axis=3)
    between = np.median(log[:, :, [1, 3]] - log[:, :, [0, 2]], axis=1)
    within = np.median(log[:, :, 2:] - log[:, :, :2], axis=1)
    return between, within


def _speed(
    rounds: Array, level: float, *, last: tuple[int, float] | None, margins: Sequence[float]
) -> Speed:
    """The conclusion on one workload.

    Args:
        rounds: seconds, shape (rounds, blocks, 4, 2).
        level: of its intervals.
        last: rounds and level of the last look; None if this is it.
        margins: smallest changes that matter, as ratios less 1, increasing.
    """
    between, within = log_ratios(rounds)
    log, log_floor = _interval(between.ravel(), level), _interval(within.ravel(), level)
    ratio, floor = _exp(log), _exp(log_floor)
    verdict, margin = _verdict(log, margins)
    noisy = _verdict(log_floor, margins)[0] in ("slower", "faster")
    if noisy:
        verdict, margin = "undecided", margins[-1]
        reason = (
            f"machine too noisy: processes of the same side differ by {floor}; the sides by {ratio}"
        )
    elif verdict == "undecided":
        _, low, high = ratio.percent
        decisive = _decisive(log.estimate, margin)
        need = math.ceil(between.size * ((log.high - log.low) / (2 * decisive)) ** 2)
        reason = (
            f"anything from {low} % to {high} % remains possible after {between.size} restarts; "
            f"about {need} would decide"
        )
    else:
        reason = f"{_name(verdict, margin)}: {ratio}"
    return Speed(
        verdict=verdict,
        margin=margin,
        reason=reason,
        restarts=between.size,
        ratio=ratio,
        floor=floor,
        noisy=noisy,
        spread=(_rms(within[:, 0]), _rms(within[:, 1])),
        seconds=(
            float(np.median(rounds[:, :, [0, 2]])),
            float(np.median(rounds[:, :, [1, 3]])),
        ),
        level=level,
        promising=last is not None
        and (noisy or not _settled(log, margins[0]))
        and _within_reach(
            between.ravel(), *last, margins[-1] if verdict == "undecided" else margins[0]
        ),
    )


def _settled(log: Ratio, margin: float) -> bool:
    """Whether it is narrower than what matters, or leaves no doubt as it is: not slower, or slower by
    as much as matters."""
    bound = math.log1p(margin)
    return log.high < bound or log.low >= bound or log.high - log.low < bound


def _within_reach(values: Array, rounds: int, level: float, margin: float) -> bool:
    """Whether the last look's interval can decide at this margin: if its spread stays what it is, and
    its centre too, or moves to 0.

    The signed-rank interval of many normal values is sqrt(pi/3) as wide as that of the mean (Hodges
    and Lehmann 1963). A disturbed restart says nothing of the next ones: the spread is the smaller one
    of the standard deviation and what the median absolute deviation makes of it.
    """
    centre = float(np.median(values))
    spread = min(float(values.std(ddof=1)), 1.4826 * float(np.median(np.abs(values - centre))))
    half = -special.ndtri(level / 2) * math.sqrt(math.pi / 3) * spread / math.sqrt(2 * rounds)
    return bool(half < max(math.log1p(margin), _decisive(centre, margin)))


def _decisive(centre: float, margin: float) -> float:
    """Half the width below which an interval around this centre decides: it is slower, or not by as
    much as the margin."""
    return max(centre, math.log1p(margin) - centre)


def _interval(values: Array, level: float) -> Ratio:
    """An interval of the centre, on the logarithmic scale."""
    if values.size < SIGNED_RANKS:
        width = _quantile(values.size - 1, level) * float(values.std(ddof=1))
        half, mean = width / math.sqrt(values.size), float(values.mean())
        return Ratio(mean, mean - half, mean + half)
    first, second = np.triu_indices(values.size)
    averages = np.sort((values[first] + values[second]) / 2)
    place = _signed_rank_place(values.size, level)
    return Ratio(float(np.median(averages)), float(averages[place - 1]), float(averages[-place]))


def _quantile(df: int, level: float) -> float:
    return float(-special.stdtrit(df, level / 2))


@functools.cache
def _signed_rank_place(size: int, level: float) -> int:
    """Which of the averages of two values, counted from either end, bounds the interval: the largest
    number k for which a signed-rank statistic below k has a probability of at most ``level`` / 2."""
    ways = np.array([1.0])
    for rank in range(
        1, size + 1
    ):  # the sum of the ranks of positive values: each is in it, or not
        ways = np.concatenate([ways, np.zeros(rank)]) + np.concatenate([np.zeros(rank), ways])
    below = np.cumsum(ways) / 2.0**size
    return int(np.searchsorted(below, level / 2, side="right"))


def _verdict(log: Ratio, margins: Sequence[float]) -> tuple[Verdict, float]:
    """The verdict, and the first margin that allows it. All are read off one interval: a verdict is
    wrong only if that misses what is true, whichever margin is chosen, and after whatever look."""
    for margin in margins:
        bound = math.log1p(margin)
        if -bound < log.low and log.high < bound:
            return "same", margin
        if log.low > 0:
            return "slower", margin
        if log.high < 0:
            return "faster", margin
        if log.high < bound:
            return "not slower", margin
    return "undecided", margins[-1]


def _name(verdict: Verdict, margin: float) -> str:
    word = {"same": "within", "not slower": "by"}.get(verdict)
    if word is None or margin == MARGIN:
        return verdict
    return f"{verdict} {word} {100 * margin:.0f} %"


def _exp(log: Ratio) -> Ratio:
    return Ratio(*(math.exp(value) for value in log))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
