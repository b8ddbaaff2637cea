"""Facts that a run's bits and speeds depend on, as data. Probing lives where the facts are:
:mod:`bench.execution.machine` for the machine, :mod:`bench.nets.device` for TensorFlow's side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from bench.results.bounds import Count, Name

SCHEMA = 1
#: Of ``environment.json``'s ``run``: what was tried twice, and why, as text.
RETRIED = "retried"

#: Predictions multiply many small matrices, on which NumPy's threads lose more time than they save: 8 s
#: against 27 s for the cells of the full tier on two cores. Set before NumPy is imported.
NUMPY_THREADS = ("OPENBLAS_NUM_THREADS", "1")


class Numerics(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that bits may depend on beside the software's version; its slug names a baseline folder."""

    device: Name
    """``cpu`` or ``gpu``."""
    isa: Name
    """CPU: the widest instruction set that TensorFlow may use, such as ``avx512_bf16``; GPU: its
    compute capability, such as ``sm90``."""
    onednn: bool
    xla: bool
    """XLA's automatic clustering; cells that ask for XLA name it as their engine."""
    tf32: bool
    """Only ever true on a GPU."""
    threads: Count
    """Per worker."""
    fpmath: Name = ""
    """oneDNN's fast-math mode, such as ``bf16``: what it may round float32 to; empty if to nothing."""

    @property
    def environment_class(self) -> str:
        """Name, such as ``cpu-avx512_bf16-onednn-1thread``."""
        parts = [self.device, re.sub(r"[^a-z0-9_]+", "_", self.isa.lower())]
        parts += [name for name in ("onednn", "xla", "tf32") if getattr(self, name)]
        parts += [f"{re.sub(r'[^a-z0-9_]+', '_', self.fpmath)}math"] if self.fpmath else []
        return "-".join([*parts, f"{self.threads}thread{'s' if self.threads > 1 else ''}"])


def requirement(software: Mapping[str, str], device: str) -> str:
    """What installs these versions, as ``bench upgrade`` takes a side.

    Args:
        software: versions by name; of several with commas between them the first counts.
        device: ``cpu`` or ``gpu``.

    Example:
        >>> requirement({"tensorflow": "2.21.0", "keras": "3.15.1"}, "cpu")
        'tensorflow-cpu==2.21.0 keras==3.15.1'
    """
    packages = {
        "tensorflow": "tensorflow-cpu" if device == "cpu" else "tensorflow",
        "keras": "keras",
    }
    named = ((package, software.get(name, "")) for name, package in packages.items())
    return " ".join(f"{package}=={version.split(', ')[0]}" for package, version in named if version)


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``environment.json`` of a run. A probe that failed leaves its reason as the value."""

    schema: int = SCHEMA
    numerics: Numerics
    software: dict[Name, Name]
    """Versions: ``tensorflow``, ``keras``, ``numpy``, ``python``, ``bench``, ..."""
    machine: dict[Name, Name]
    """``cpu``, ``cores``, ``memory``, ``system``, ``gpu``, ``driver``."""
    data: dict[Name, Name]
    """``name``, ``fingerprint`` and ``source`` of the images."""
    run: dict[Name, Any] = {}
    """``command``, ``started``, ``commit``, ``dirty`` (``true`` or ``false``), ``workers``,
    ``total_sec``; ``retried``: what was killed from outside and tried again."""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")
        if "tensorflow" not in self.software:
            raise ValueError("software names no tensorflow")
        for key, kinds in _KINDS.items():
            if not isinstance(self.run.get(key, kinds[0]()), kinds):
                raise ValueError(f"{key} of run is no {kinds[0].__name__}")  # noqa: TRY004 - decoding
        if not all(isinstance(text, str) for text in self.retried):
            raise ValueError("retried of run is no list of texts")
        if not 0 <= self.run.get("total_sec", 0) <= 1e9:
            raise ValueError("total_sec of run is below 0, or beyond a thousand million")

    @property
    def environment_class(self) -> str:
        return self.numerics.environment_class

    @property
    def retried(self) -> list[str]:
        """Tasks that were tried once more, as somebody else ended their process; each with how."""
        retried: list[str] = self.run.get(RETRIED, [])
        return retried

    def difference(self, other: Environment) -> Difference | None:
        """The first thing for which results of two environments do not belong into one run."""
        for part in ("numerics", "software", "data", "run"):
            ours, theirs = self._comparable(part), other._comparable(part)
            for key in dict.fromkeys([*ours, *theirs]):
                if ours.get(key) != theirs.get(key):
                    return Difference(part, key, ours.get(key), theirs.get(key))
        return None

    def _comparable(self, part: str) -> dict[str, Any]:
        """The fields of a part that must be the same; the same images may come from several places."""
        if part == "run":
            return {"commit": self.run.get("commit")}
        fields: dict[str, Any] = msgspec.to_builtins(getattr(self, part))
        return {key: value for key, value in fields.items() if (part, key) != ("data", "source")}


#: Types of what stands in ``run``.
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("command", "started", "commit", "tier"), (str,)),
    "total_sec": (float, int),
    RETRIED: (list,),
}


class Difference(NamedTuple):
    """A field that two environments do not share."""

    part: str
    key: str
    ours: Any
    theirs: Any
