"""Do deep stacks of convolutions train the same, whatever normalizes, halves or skips?"""

from bench.cells import vision_grids
from bench.verdict.judgement import Judgement

GRID = vision_grids.CONVOLUTIONAL_DEPTH


def test_cell(judgement: Judgement) -> None:
    """The cell trains as its baseline says."""
    assert not judgement.verdict.fails, judgement.reason
