"""Remedies: pins and settings that might avoid a finding, each tried out on NEW."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from packaging.version import Version

from bench.environments.exchange import THREE, Installed, side_with
from bench.environments.prepare import Built
from bench.environments.requirements import LEGACY_KERAS, LEGACY_VARIABLE, TENSORFLOWS
from bench.errors import BenchError
from bench.jobs.asking import Asking, Trial
from bench.results.blame import Blame, Remedy, Since
from bench.search.bisection import Seen

#: Variables with which numbers change: oneDNN's kernels off.
SETTINGS: Mapping[str, str] = {"TF_ENABLE_ONEDNN_OPTS": "0"}
#: Variables that are put back to TensorFlow's own value where NEW sets them: fast math, XLA.
DEFAULTS: Mapping[str, str] = {"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT", "TF_XLA_FLAGS": ""}


def remedies(
    trial: Trial, known: Blame, new: Built, variables: Mapping[str, str], asking: Asking
) -> list[Remedy]:
    """What was tried, in the order of trouble: the releases before, settings, Keras 2.

    Args:
        trial: the finding.
        known: of it so far, the pair of releases among it.
        new: NEW's environment.
        variables: that were asked for there.
        asking: environments.

    Raises:
        OutOfTimeError: the time limit has passed.
    """
    end = Installed(lock=new.lock, variables=dict(variables))
    tensorflow = f"{end.tensorflow}=={end.versions[end.tensorflow]}"
    tried: list[Remedy] = []
    if known.pairs:
        every: list[Blame | Since] = [known, *known.others]
        searched = [one for one in every if one.pairs]
        wanted = [f"{one.package}=={one.pairs[0].before}" for one in searched]
        if not any(one.package in TENSORFLOWS for one in searched):
            wanted = [tensorflow, *wanted]
        side = side_with(end, wanted, variables)
        built = asking.environment(side)
        tried.append(
            _tried(trial, built, list(side.requirements), _set(side.variables, end), asking)
        )
    settings = {n: v for n, v in SETTINGS.items() if end.variables.get(n) != v}
    settings |= {n: v for n, v in DEFAULTS.items() if end.variables.get(n, v) != v}
    for name, value in settings.items():
        changed = msgspec.structs.replace(new, variables={**new.variables, name: value})
        tried.append(_tried(trial, changed, [], {name: value}, asking))
    keras_3 = Version(end.keras) >= THREE
    if keras_3 and not any(LEGACY_VARIABLE in remedy.variables for remedy in tried):
        side = side_with(end, [tensorflow, "keras==2.15.0"], variables)
        legacy = asking.environment(side)
        tried.append(_tried(trial, legacy, [tensorflow], {LEGACY_VARIABLE: "1"}, asking))
    return tried


def _set(variables: Mapping[str, str], end: Installed) -> dict[str, str]:
    return {name: value for name, value in variables.items() if end.variables.get(name) != value}


def _tried(
    trial: Trial,
    built: Built | BenchError,
    pins: list[str],
    variables: dict[str, str],
    asking: Asking,
) -> Remedy:
    """One remedy, and whether it avoids the finding."""
    if LEGACY_VARIABLE in variables and isinstance(built, Built):
        pins = [*pins, f"{LEGACY_KERAS}=={Installed(lock=built.lock).versions[LEGACY_KERAS]}"]
    state = asking.state(trial.finding, built)
    avoids = trial.seen(state) is Seen.SAME
    words = " ".join([*pins, *(f"{name}={value}" for name, value in variables.items())])
    asking.say(f"{trial.finding.name}: {words}: {'avoids it' if avoids else 'does not avoid it'}")
    return Remedy(pins=pins, variables=variables, avoids=avoids, detail=state.detail)
