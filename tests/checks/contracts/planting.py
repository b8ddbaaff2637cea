"""Ways to plant a fault in a class or a module, for as long as a context lasts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import tensorflow as tf

keras = tf.keras
Plant = Callable[[str], AbstractContextManager[Any]]
"""Plants in a public thing: ``keras.losses.Huber``."""
Wrapper = Callable[..., Any]
"""Called with the original function and its arguments, in its place."""

SLIGHTLY = 1.0 + 1e-4


@dataclass(frozen=True)
class Fault:
    """A fault of some contracts; the first in the table that matches one is planted for it."""

    checks: tuple[str, ...]
    """Patterns of ids."""
    what: str
    plant: Plant
    """Of the contract's public thing: ``keras.losses.Huber``."""


def found(thing: str) -> Any:
    """What a public name stands for."""
    return functools.reduce(getattr, thing.split(".")[1:], keras)


def method(owner: Any, name: str, wrapper: Wrapper) -> AbstractContextManager[Any]:
    """``wrapper(original, *arguments, **given)`` in the place of a function, method or class."""
    original = getattr(owner, name)

    def planted(*arguments: Any, **given: Any) -> Any:
        return wrapper(original, *arguments, **given)

    if not isinstance(original, type):  # Keras asks a call for the names of its arguments
        planted = functools.wraps(original)(planted)
    return mock.patch.object(owner, name, planted)


def options(owner: Any, name: str = "__init__", **changes: Any) -> AbstractContextManager[Any]:
    """Arguments that are given by name are changed: to a value, or by a function of the given one."""

    def wrapper(original: Any, *arguments: Any, **given: Any) -> Any:
        changed = {
            key: (changes[key](value) if callable(changes[key]) else changes[key])
            if key in changes
            else value
            for key, value in given.items()
        }
        return original(*arguments, **changed)

    return method(owner, name, wrapper)


def without(owner: Any, name: str, *dropped: str) -> AbstractContextManager[Any]:
    """Arguments that are given by name are ignored."""

    def wrapper(original: Any, *arguments: Any, **given: Any) -> Any:
        return original(*arguments, **{k: v for k, v in given.items() if k not in dropped})

    return method(owner, name, wrapper)


def result(
    owner: Any, name: str, change: Callable[[Any], Any] = lambda value: value * SLIGHTLY
) -> AbstractContextManager[Any]:
    """Numbers that are returned are changed, in lists and dicts too."""

    def wrapper(original: Any, *arguments: Any, **given: Any) -> Any:
        return tf.nest.map_structure(change, original(*arguments, **given))

    return method(owner, name, wrapper)


def keeping(owner: Any, name: str, what: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """Something of each call's object is kept for good, ``what(self)`` after the call."""
    kept: list[Any] = []

    def wrapper(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
        made = original(self, *arguments, **given)
        kept.append(what(self))
        return made

    return method(owner, name, wrapper)


def nothing(owner: Any, name: str) -> AbstractContextManager[Any]:
    """A method that does nothing."""
    return method(owner, name, lambda *_, **__: None)


def configured(owner: Any, **changes: Any) -> AbstractContextManager[Any]:
    """A configuration tells other values."""
    return method(owner, "get_config", lambda original, self: {**original(self), **changes})


def setter(owner: Any, name: str) -> AbstractContextManager[Any]:
    """A property to which values are assigned in vain."""
    original = getattr(owner, name)
    return mock.patch.object(owner, name, property(original.fget, lambda *_: None))


def prop(owner: Any, name: str, change: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """What a property tells is changed."""
    original = getattr(owner, name)
    return mock.patch.object(owner, name, property(lambda self: change(original.fget(self))))


def of_thing(plant: Callable[..., Any], *arguments: Any, **given: Any) -> Plant:
    """Planted in the contract's own class."""
    return lambda thing: plant(found(thing), *arguments, **given)


def in_(owner: Any, plant: Callable[..., Any], *arguments: Any, **given: Any) -> Plant:
    """Planted in another class or module."""
    return lambda _: plant(owner, *arguments, **given)
