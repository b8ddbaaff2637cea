"""Does a model of yours, given with ``--model FILE.py:FUNCTION``, still train the same?"""

from bench.verdict.judgement import Judgement

OWN = "model"


def test_cell(judgement: Judgement) -> None:
    """The model trains as the run, or the baseline, that it is compared with."""
    assert not judgement.verdict.fails, judgement.reason
