"""Cells' names in figures, where there is little room: without what all have in common, in lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.report.text import grouped
from bench.results.plan import Item


def shortened(items: Sequence[Item]) -> tuple[dict[Item, str], dict[str, str]]:
    """Names of cells without what all of their grid have in common, and that, by grid.

    Example: ``depth/depth:3-act:relu`` and ``depth/depth:9-act:relu`` become ``depth/depth:3`` and
    ``depth/depth:9``, and ``act:relu`` is common in ``depth``. A cell that is alone keeps its name.
    """
    names: dict[Item, str] = {}
    common: dict[str, str] = {}
    for grid, members in grouped((item.grid, item) for item in items).items():
        texts = {item: _values(item.id) for item in members}
        first, *others = texts.values()
        shared = [text for text in first if others and all(text in each for each in others)]
        for item, values in texts.items():
            names[item] = f"{grid}/{'-'.join(text for text in values if text not in shared)}"
        if shared:
            common[grid] = "-".join(shared)
    return names, common


def in_lines(name: str, width: int) -> str:
    """A name in lines of at most ``width`` characters, which break before an axis; one value may be
    longer."""
    lines = [""]
    for text in re.split("(?<=-)(?=[a-z_]+:)", name):
        if lines[-1] and len(lines[-1] + text) > width:
            lines.append("")
        lines[-1] += text
    return "\n".join(lines)


def _values(id_: str) -> list[str]:
    """``key:value`` of each axis of an id; a minus sign of a value begins none."""
    return re.split("-(?=[a-z_]+:)", id_)
