"""The published experiments on vanishing and exploding gradients that this project grew out of.

    recipe.py       what a program trains, exactly as published
    experiments.py  P1 to P7: question, variants, published numbers, what each tier runs
    trial.py        one training of one variant in one form, and what came of it
    claims.py       what the originals say, held against trials; claim.py says when that is possible,
                    mechanisms.py (P1, P5, P6), learning.py (P2, P3, P4, P7) and agreement.py (of both
                    forms) are the claims, ranks.py their exact tests
    rows.py         what the originals report, beside ours
    replay.py       P1 in NumPy, many seeds at once: the range that its claims are held against

Nothing here imports TensorFlow: :mod:`bench.nets.programs` builds and trains.
"""
