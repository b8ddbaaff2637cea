"""The published experiments on vanishing and exploding gradients that this project grew out of.

    experiments.py  P1 to P7: question, variants, published numbers, what each tier runs
    claims.py       what the originals say, held against trials; claim.py says when that is possible,
                    mechanisms.py (P1, P5, P6), learning.py (P2, P3, P4, P7) and agreement.py (of both
                    forms) are the claims
    rows.py         what the originals report, beside ours
    replay.py       P1 in NumPy, many seeds at once: the range that its claims are held against

Recipes, what a program trains, are in :mod:`bench.cells.recipe`; trials, one training of one
variant in one form, in :mod:`bench.results.trial`; the claims' exact tests in
:mod:`bench.statistics.ranks`. Nothing here imports TensorFlow: :mod:`bench.nets.programs` builds and
trains.
"""
