"""What two environments differ in, and environments between them: some differences as in NEW, the
others as in OLD.

A difference is a package whose versions differ, or a variable such as ``TF_ENABLE_ONEDNN_OPTS``. A
package that only one of them has comes with another one, and follows it. Keras 2 on TensorFlow 2.16
and later is tf-keras under ``TF_USE_LEGACY_KERAS``: so the step from Keras 2 to Keras 3 can be told
from that of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from packaging.version import Version

from bench.environments.requirements import (
    LEGACY_KERAS,
    LEGACY_VARIABLE,
    TENSORFLOWS,
    Side,
    lock_versions,
)

#: What is suspected first, as more findings come from it.
_SUSPECTS = ("keras", "tensorflow", "numpy", "ml-dtypes", "h5py")
#: The first TensorFlow 2.x that comes with Keras 3.
KERAS_3 = Version("2.16.dev0")
#: Below it, Keras is Keras 2.
THREE = Version("3.dev0")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between two environments."""

    name: str
    """Of the distribution, ``tensorflow`` for any that holds TensorFlow; or of the variable."""
    old: str
    """What OLD has: a requirement such as ``keras==2.15.0``, or the variable's value."""
    new: str
    variable: bool = False
    needs: tuple[Part, ...] = ()
    """Packages that cannot stay as in OLD where this one is as in NEW."""

    @property
    def label(self) -> str:
        """``keras 2.15.0 -> 3.3.3``."""
        needs = f" (with {', '.join(part.label for part in self.needs)})" if self.needs else ""
        return f"{self.name} {_shown(self.old)} -> {_shown(self.new)}{needs}"

    @property
    def whole(self) -> tuple[Part, ...]:
        """This one and what it needs."""
        return self, *self.needs


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """One end: what is installed, under which variables."""

    lock: str
    variables: dict[str, str] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Version by distribution."""
        return lock_versions(self.lock)

    @property
    def tensorflow(self) -> str:
        """The distribution that holds TensorFlow."""
        return next((name for name in TENSORFLOWS if name in self.versions), "")

    @property
    def keras(self) -> str:
        """The version of Keras that is in use: tf-keras has that of TensorFlow."""
        legacy = self.variables.get(LEGACY_VARIABLE, "").lower() in ("1", "true")
        return self.versions.get(LEGACY_KERAS if legacy else "keras", "")


def differences(old: Installed, new: Installed) -> list[Part]:
    """What differs, the first suspects first."""
    packages = [
        Part(name=name, old=f"{name}=={old.versions[name]}", new=f"{name}=={new.versions[name]}")
        for name in sorted(old.versions.keys() & new.versions.keys())
        if old.versions[name] != new.versions[name] and name not in (*TENSORFLOWS, "keras")
    ]
    pair = [f"{end.tensorflow}=={end.versions[end.tensorflow]}" for end in (old, new)]
    if pair[0] != pair[1]:
        packages.append(Part(name="tensorflow", old=pair[0], new=pair[1]))
    if old.keras != new.keras:
        packages.append(Part(name="keras", old=f"keras=={old.keras}", new=f"keras=={new.keras}"))
    names = (old.variables.keys() | new.variables.keys()) - {LEGACY_VARIABLE}
    settings = [
        Part(name=name, old=values[0], new=values[1], variable=True)
        for name in sorted(names)
        if (values := (old.variables.get(name, ""), new.variables.get(name, "")))[0] != values[1]
    ]
    order = {name: place for place, name in enumerate(_SUSPECTS)}
    return sorted([*packages, *settings], key=lambda part: order.get(part.name, len(order)))


def tensorflow_alone(old: Installed, parts: Sequence[Part]) -> Side | None:
    """The side with NEW's TensorFlow in which all else stays as in OLD, if it can; None if TensorFlow
    is the same on both sides. What moves in it goes with TensorFlow: :func:`grouped`."""
    pinned = [part.new for part in parts if part.name == "tensorflow"]
    if not pinned:
        return None
    pinned += [part.old for part in parts if _to_or_from_keras_2(part)]
    return side_with(old, pinned, old.variables)


def grouped(old: Installed, parts: Sequence[Part], moved: Installed) -> list[Part]:
    """Differences of which those that cannot be told from TensorFlow's are part of it.

    Args:
        old: one end.
        parts: all differences.
        moved: what :func:`tensorflow_alone` was resolved to.
    """
    needs = tuple(
        part
        for part in parts
        if not part.variable
        and part.name != "tensorflow"
        and not _to_or_from_keras_2(part)
        and moved.versions.get(part.name) != old.versions.get(part.name)
    )
    return [
        msgspec.structs.replace(part, needs=needs) if part.name == "tensorflow" else part
        for part in parts
        if part not in needs
    ]


def _to_or_from_keras_2(part: Part) -> bool:
    """Whether a difference is that of Keras 2 and 3, which either can be had on newer TensorFlow."""
    if part.name != "keras":
        return False
    return len({Version(side.partition("==")[2]) < THREE for side in (part.old, part.new)}) > 1


def between(
    old: Installed, new: Installed, parts: Sequence[Part], chosen: Collection[Part]
) -> Side:
    """The side that has the chosen differences as in NEW, and the others as in OLD.

    Args:
        old: one end.
        new: the other.
        parts: all differences between them.
        chosen: some of these.
    """
    values = {
        each.name: each.new if part in chosen else each.old for part in parts for each in part.whole
    }
    packages = [values[p.name] for part in parts for p in part.whole if not p.variable]
    variables = {**old.variables, **{p.name: values[p.name] for p in parts if p.variable}}
    base = new if any(p.name == "tensorflow" and p in chosen for p in parts) else old
    if not any(part.name == "tensorflow" for part in parts):
        packages.append(f"{old.tensorflow}=={old.versions[old.tensorflow]}")
    return side_with(base, packages, variables)


def side_with(base: Installed, packages: Sequence[str], variables: Mapping[str, str]) -> Side:
    """A side with some exact versions, TensorFlow's among them; ``base`` has its say about the others.

    Keras 2 beside TensorFlow 2.16 or later becomes tf-keras.
    """
    wanted = dict(one.split("==") for one in packages)
    tensorflow = next(name for name in TENSORFLOWS if name in wanted)
    keras = wanted.get("keras", base.keras)
    kept = {name: value for name, value in variables.items() if name != LEGACY_VARIABLE and value}
    if Version(wanted[tensorflow]) >= KERAS_3 and Version(keras) < THREE:
        wanted.pop("keras", None)
        kept[LEGACY_VARIABLE] = "1"
    return Side(
        requirements=tuple(f"{name}=={version}" for name, version in wanted.items()),
        variables=kept,
        preferred=base.lock,
    )


def _shown(value: str) -> str:
    return value.rpartition("==")[2] or "unset"
