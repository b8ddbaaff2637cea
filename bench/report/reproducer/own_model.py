"""Reproducer of a model of the user's: ``own_model.py.jinja``, filled in.

It imports the user's file, and reads arrays and initial weights from the folder of the upgrade.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from bench.errors import BenchError
from bench.report.reproducer.body import COPIES, template
from bench.report.reproducer.script import LINES, head, refuse
from bench.results.own_model import DEFAULT_RATE, HELD_OUT, DefaultLoss, Description
from bench.verdict.departures import rounding_factor
from bench.verdict.judgement import Judgement, Verdict


def own_script(
    judgement: Judgement, told: Description, folder: Path, *, steps: int, versions: tuple[str, str]
) -> str:
    """The source of a script that trains the user's model and prints its loss, and the norm of each
    weight, at every step.

    Args:
        judgement: on the model.
        told: what the model's folder says of it.
        folder: that folder.
        steps: training steps.
        versions: of TensorFlow on the older and the newer side.

    Raises:
        BenchError: two runs of a script cannot show what was found.
    """
    refuse(judgement, versions)
    cell = judgement.item.cell
    if told.model.random and judgement.verdict is not Verdict.CRASHED:
        raise BenchError(
            f"{judgement.item.id}: no script can show it: {', '.join(told.model.random)} draw random "
            "numbers in the framework",
            hint="compare the model without them",
        )
    text = template("own_model.py.jinja").render(
        cell=cell,
        told=told,
        folder=str(folder.absolute()),
        steps=steps,
        copies=COPIES,
        factor=rounding_factor(cell),
        losses=[_loss(loss) for loss in told.losses.values()],
        rate=DEFAULT_RATE,
        evaluated=bool(told.outputs) and _begins_in_evaluation(judgement),
    )
    # Where lines are short, blank ones go, and then the reason.
    for reasoned, spaced in itertools.product((True, False), (True, False)):
        lines = [line for line in text.splitlines() if line or spaced]
        top = head(judgement, versions, most=LINES - len(lines), reasoned=reasoned)
        if top:
            return "\n".join([*top, *lines, ""])
    raise AssertionError(f"{judgement.item.id}: {len(lines)} lines without a head")


def _begins_in_evaluation(judgement: Judgement) -> bool:
    """Whether training is as before, as far as losses and weights show it."""
    departure = judgement.envelope.departure if judgement.envelope is not None else None
    return departure is not None and departure.tensor.endswith(HELD_OUT)


def _loss(loss: DefaultLoss) -> str:
    options = "" if loss.name == "MeanSquaredError" else f"from_logits={loss.from_logits}"
    return f"tf.keras.losses.{loss.name}({options})"
