"""Grids of yours, given with ``--grid-file FILE.py`` or by an installed package."""

from bench.verdict.judgement import Judgement

OWN = "grids"


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
