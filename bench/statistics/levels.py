"""The level of a run, 5 %, and the part of it that each kind of error may spend.

=============  =======  =============================================================================
part           of .05   what it bounds
=============  =======  =============================================================================
``LUCK``       .0333    lucky flips of cells that end in one of two states
                        (:mod:`bench.statistics.luck`)
``TESTS``      .0100    tests of means and shares, corrected by Holm over all cells and metrics
``ENVELOPES``  .0067    rounding that leaves its envelope (:mod:`bench.verdict.envelope`)
=============  =======  =============================================================================

Three seeds a side can show a flip with a chance of luck of 1/31 = .0323 and no less, so luck gets two
thirds of the level, the next simple fraction. Tests get the larger part of the rest, because they are
divided among a thousand comparisons: a fifth of the level (a normal quantile of 4.42 for 4.06) costs
one twelfth of the change that can be detected.

Tests and envelopes spend their parts look by look (:mod:`bench.statistics.sequential`). ``LUCK`` is not
divided, as luck does not strike anew: seeds are added and none is drawn again, so a cell that is
flipped at a later look was flipped at each look before it (:mod:`bench.statistics.luck` has the rest).
"""

from __future__ import annotations

#: The chance of any false alarm in a run.
ALPHA = 0.05

#: The chance of any lucky flip, whatever the number of looks and whether there are envelopes.
LUCK = ALPHA * 2 / 3

#: Shares of the level, or of what a look spends of it.
TESTS = 1 / 5
ENVELOPES = 2 / 15
