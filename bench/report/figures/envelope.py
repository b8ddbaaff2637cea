"""What the figure of rounding envelopes shows, as data: differences of losses, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.text import count
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline
from bench.verdict.bits import traced_seeds
from bench.verdict.differences import Differences
from bench.verdict.judgement import ATTENTION, EnvelopeTest, Judgement

#: Panels in the figure: two rows of three.
MOST_STRIPS = 6


@dataclass(frozen=True)
class Strip:
    """One cell: how far seeds and copies part, and the envelope."""

    title: str
    test: EnvelopeTest
    shown: Differences


@dataclass(frozen=True)
class EnvelopePicture:
    """The run's figure; has at least one strip."""

    heading: str
    strips: tuple[Strip, ...]

    @property
    def path(self) -> str:
        """Where it is stored, from the run's folder."""
        return "figures/rounding.svg"

    @property
    def alternative(self) -> str:
        """For those who cannot see it."""
        return f"{self.heading}, step by step: {count(len(self.strips), 'cell')}"


def cells_tested(judgements: Sequence[Judgement]) -> list[tuple[Judgement, tuple[str, ...]]]:
    """Cells that were held against an envelope, most severe first: by verdict, then by the largest
    difference over the envelope.

    Returns:
        one judgement per cell and verdict, and ``<grid>/<id>`` of every item that it speaks for.
    """
    found: dict[object, list[Judgement]] = {}
    for judgement in judgements:
        if judgement.envelope is not None:
            key = judgement.item.cell, judgement.verdict, judgement.envelope
            found.setdefault(key, []).append(judgement)
    ordered = sorted(found.values(), key=lambda group: _severity(group[0]))
    return [
        (group[0], tuple(f"{other.item.grid}/{other.item.id}" for other in group))
        for group in ordered
    ]


def envelope_picture(
    run: StoredRun, judgements: Sequence[Judgement], baseline: Baseline | None
) -> EnvelopePicture | None:
    """The figure of the most severe cells, then of the most chaotic; None without any.

    Args:
        run: what was measured.
        judgements: of all cells.
        baseline: what they were judged against.
    """
    if baseline is None:
        return None
    tested = [(judgement, names[0]) for judgement, names in cells_tested(judgements)]
    # A stable sort: those that fail stay in order, the others are ordered by how soon their
    # envelope is blunt.
    tested.sort(key=lambda pair: _sharpness(pair[0]))
    strips = []
    for judgement, name in tested[:MOST_STRIPS]:
        seeds = traced_seeds(run, baseline, judgement.item)
        if seeds and judgement.envelope is not None:
            cell = judgement.item.cell
            shown = Differences.of(cell, seeds)
            strips.append(Strip(f"{name}: {judgement.verdict.value}", judgement.envelope, shown))
    if not strips:
        return None
    return EnvelopePicture("Differences of the loss against the rounding envelope", tuple(strips))


def _severity(judgement: Judgement) -> tuple[int, float]:
    ratio = judgement.envelope.ratio if judgement.envelope is not None else 0.0
    return ATTENTION.index(judgement.verdict), -ratio


def _sharpness(judgement: Judgement) -> int:
    """-1 where a difference is outside, else the steps over which the envelope was sharp."""
    test = judgement.envelope
    return test.sharp_steps if test is not None and test.inside else -1
