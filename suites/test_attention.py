"""Do transformers train the same, with layer normalization before or after branches?"""

from bench.cells import vision_grids
from bench.verdict.judgement import Judgement

GRID = vision_grids.ATTENTION


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
