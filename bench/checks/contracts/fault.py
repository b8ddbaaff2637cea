"""Known fault: contracts that released versions break, by one cause; versions that were tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from packaging.specifiers import SpecifierSet


@dataclass(frozen=True, kw_only=True)
class KnownFault:
    """Contracts that are known to be broken, by one cause."""

    checks: tuple[str, ...]
    """Their ids, or patterns of such: ``seeds:seed-*``."""
    keras: tuple[str, ...] = ("",)
    """Versions of Keras, as specifiers of which one must hold: ``>=3.0.5,<=3.14.1``."""
    tensorflow: tuple[str, ...] = ("",)
    """Versions of TensorFlow, likewise; both must hold."""
    always: bool = True
    """Whether it shows on every machine; of others, being gone is no news."""
    what: str
    """What goes wrong, with the upstream issue where there is one."""

    def applies(self, keras: str, tensorflow: str) -> bool:
        """Whether it is known of these versions."""
        return _within(keras, self.keras) and _within(tensorflow, self.tensorflow)

    def breaks(self, check: str) -> bool:
        """Whether a check, by its id, is one of those that it breaks."""
        return any(fnmatchcase(check, pattern) for pattern in self.checks)

    @property
    def versions(self) -> str:
        """Tried versions that have it, and the next one that is sound: ``keras 3.0.2 to 3.13.2, not
        3.14.0``."""
        name, at = ("keras", 1) if self.keras != ("",) else ("tensorflow", 0)
        texts, run = [], list[str]()
        for pair in (*TRIED, None):
            if pair is not None and self.applies(tensorflow=pair[0], keras=pair[1]):
                run.append(pair[at])
            elif run:
                first, last = run[0], run[-1]
                sound = f", not {pair[at]}" if pair is not None and pair[at] != last else ""
                texts.append(f"{first} to {last}{sound}" if first != last else f"{first}{sound}")
                run = []
        return f"{name} {'; '.join(texts)}" if texts else " ".join((name, *self.tensorflow))


def _within(version: str, ranges: Iterable[str]) -> bool:
    return any(SpecifierSet(one).contains(version, prereleases=True) for one in ranges)


#: TensorFlow and Keras versions in which all contracts were tried, oldest first.
TRIED = (
    *(("2.12.1", "2.12.0"), ("2.15.1", "2.15.0")),
    *(
        ("2.16.2", f"3.{keras}")
        for keras in (
            *("0.2", "0.3", "0.5", "4.1", "6.0", "7.0", "9.2", "12.4"),
            *("13.2", "14.0", "14.1", "15.0", "15.1"),
        )
    ),
    *(("2.18.1", "3.15.1"), ("2.20.0", "3.15.1"), ("2.21.0", "3.15.1")),
)
