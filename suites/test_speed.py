"""Is this machine as fast, and does it take as much memory, as in stored runs?

Beyond its limits a number is no verdict: the item fails only if the live comparison of both versions
(``--decide-speed``) found it slower or larger. docs/speed.md has the rule.
"""

from bench.verdict.pacing import PaceJudgement


def test_speed(pace_judgements: list[PaceJudgement]) -> None:
    """Nothing is worse side by side."""
    worse = [f"{one.title}: {one.live.reason}" for one in pace_judgements if one.live and one.worse]
    assert not worse, "\n".join(worse)
