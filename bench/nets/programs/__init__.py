"""Training the published programs: one trial from initial values to its result.

feeding.py       initial values and examples, drawn by NumPy for both forms
keras_form.py    today's form: Keras layers, a Keras optimizer, all steps in one graph
session_form.py  the original's form: ``tf.compat.v1``, placeholders, a session
program.py       what training needs of either form
training.py      training, looking, and the numbers of it
"""

from __future__ import annotations

import time

from bench.mnist import Mnist
from bench.nets.images import on_device
from bench.nets.programs import session_form, training
from bench.nets.programs.feeding import Feed, feed
from bench.nets.programs.keras_form import KerasProgram
from bench.nets.programs.program import Program
from bench.nets.programs.session_form import SessionProgram
from bench.results.trial import Trial, TrialResult

__all__ = ["perform", "prepared"]


def perform(trial: Trial, data: Mnist, device: str, environment: str) -> TrialResult:
    """Trains a trial. A loss that is not finite is an outcome, and so is a form that this TensorFlow
    lacks.

    Args:
        trial: what is trained, under which seed, and what is watched.
        data: the images.
        device: ``cpu`` or ``gpu``, as it was configured.
        environment: class that the result carries.
    """
    begin = time.perf_counter()
    lacking = session_form.absent() if trial.form == "session" else ""
    if lacking:
        return TrialResult(
            trial=trial,
            outcome="absent",
            absent=lacking,
            environment=environment,
            data=data.fingerprint,
        )
    fed = feed(trial.recipe, trial.seed, examples=len(data.train_labels))
    program = prepared(trial, fed, data, device)
    try:
        return training.train(
            program, trial, data=data.fingerprint, environment=environment, begin=begin
        )
    finally:
        program.close()


def prepared(trial: Trial, fed: Feed, data: Mnist, device: str) -> Program:
    """The trial's program at the initial values of ``fed``."""
    if trial.form == "session":
        return SessionProgram(trial, fed, data)
    images = None if trial.recipe.task == "identity" else on_device(data, device)
    return KerasProgram(trial, fed, images)
