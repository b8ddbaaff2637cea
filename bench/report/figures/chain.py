"""The figure of a chain of versions: what became of each family of cells at each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.errors import count
from bench.report.figures.picture import Heat, Picture

#: How far what became of a cell is from nothing; words that are not here are undecided.
_SIZES: Mapping[str, float] = {
    "identical": 0.0,
    "on neither side": 0.0,
    "crashing on both sides": 0.0,
    "rounding": 1 / 3,
    "equivalent": 1 / 3,
    "improved": 1 / 3,
    "gained": 1 / 3,
    "changed": 1.0,
    "regressed": 1.0,
    "crashed": 1.0,
    "claim violated": 1.0,
    "lost": 1.0,
}
_UNDECIDED = 2 / 3


def chain_picture(
    steps: Sequence[str], families: Mapping[str, Sequence[Mapping[str, int]]]
) -> Picture | None:
    """A row a family and a column a step, tinted by the worst that became of its cells; None without
    either.

    Args:
        steps: their titles.
        families: by title, for each step how many cells became what, in words.
    """
    if not steps or not families:
        return None
    values = [[_worst(counted) for counted in row] for row in families.values()]
    texts = [
        ["\n".join(f"{number} {word}" for word, number in counted.items()) for counted in row]
        for row in families.values()
    ]
    heat = Heat(
        "",
        "",
        tuple(families),
        tuple(steps),
        tuple(map(tuple, values)),
        tuple(map(tuple, texts)),
        "",
        ((0.0, "identical"), (1 / 3, "rounding"), (2 / 3, "undecided"), (1.0, "changed")),
    )
    lines = sum(max(text.count("\n") + 1 for text in row) for row in texts)
    heading = "What became of the cells at each step"
    return Picture(
        path="figures/matrix.svg",
        heading=heading,
        alternative=f"{heading}: {count(len(families), 'row')}, {count(len(steps), 'step')}",
        caption="Tinted by the worst that became of any cell of a row.",
        panels=(heat,),
        columns=1,
        size=(3.5 + 1.6 * len(steps), 1.2 + 0.25 * len(families) + 0.17 * lines),
    )


def _worst(counted: Mapping[str, int]) -> float | None:
    return max((_SIZES.get(word, _UNDECIDED) for word in counted), default=None)
