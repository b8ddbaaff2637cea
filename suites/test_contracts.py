"""Does the training API keep what it promises? Loops and callbacks of Keras, as users call them.

Returned values are held against float64 NumPy within the bound of rounding, or exactly against a
relation that must hold in any version. No baseline is needed.
"""

from bench.results.check import CONTRACTS, CheckResult

FAMILIES = CONTRACTS


def test_check(check_result: CheckResult) -> None:
    """All numbers lie within the bounds of rounding, or are exactly as promised."""
    assert not check_result.fails, check_result.reason
