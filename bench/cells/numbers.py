"""Numbers as axis values of a cell have them: ``0.01``, ``normal_0.01``."""

from __future__ import annotations

from decimal import Decimal


def number(value: float) -> str:
    """A float as a plain decimal that tells 1.0 from 10.0 in an id: ``0.0001``, ``1.0``."""
    text = format(Decimal(repr(float(value))), "f")
    return text if "." in text else f"{text}.0"


def with_number(rule: str, value: float) -> str:
    """The axis value ``rule`` with its number: ``with_number("normal", 0.01) == "normal_0.01"``."""
    return f"{rule}_{number(value)}"


def split_number(text: str) -> tuple[str, float | None]:
    """The inverse of :func:`with_number`; the number is None where the text has none."""
    name, _, tail = text.rpartition("_")
    try:
        return (name, float(tail)) if name else (text, None)
    except ValueError:
        return text, None
