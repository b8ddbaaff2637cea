"""``-k`` expressions outside pytest: ``depth:3- and not (tanh or sigmoid)``."""

from __future__ import annotations

import re
from collections.abc import Callable

from bench.errors import BenchError

Matcher = Callable[[str], bool]

_TOKEN = re.compile(r"\s*(?:(?P<bracket>[()])|(?P<word>[\w:+\-./\[\]\\]+))")


def compile_expression(text: str) -> Matcher:
    """A test for names, by the rules of pytest's ``-k``.

    A word matches a name that contains it, whatever the case; ``not`` binds tighter than ``and``,
    ``and`` tighter than ``or``; brackets group. An empty text matches every name.

    Raises:
        BenchError: the text is no such expression; names the place.

    Example:
        >>> matches = compile_expression("depth:3- and not tanh")
        >>> [matches(name) for name in ("depth:3-act:relu", "depth:30-act:relu", "depth:3-tanh")]
        [True, False, False]
    """
    return _Parser(text).parse() if text.strip() else lambda _: True


class _Parser:
    """Recursive descent: or -> and -> not -> word or bracket."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[int, str]] = []
        place = 0
        stripped = text.rstrip()
        while place < len(stripped):
            match = _TOKEN.match(stripped, place)
            if match is None:
                place = len(stripped) - len(stripped[place:].lstrip())
                raise self._error(place, f"unexpected {stripped[place]!r}")
            group = match.lastgroup or "word"
            self._tokens.append((match.start(group), match[group]))
            place = match.end()

    def parse(self) -> Matcher:
        matcher = self._or()
        if self._tokens:
            place, token = self._tokens[0]
            raise self._error(place, f"unexpected {token!r}")
        return matcher

    def _or(self) -> Matcher:
        parts = [self._and()]
        while self._taken("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda name: any(part(name) for part in parts)

    def _and(self) -> Matcher:
        parts = [self._not()]
        while self._taken("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda name: all(part(name) for part in parts)

    def _not(self) -> Matcher:
        if self._taken("not"):
            inner = self._not()
            return lambda name: not inner(name)
        if self._taken("("):
            inner = self._or()
            if not self._taken(")"):
                raise self._error(self._place(), "a bracket is not closed")
            return inner
        if not self._tokens or self._tokens[0][1] in ("and", "or", ")"):
            raise self._error(self._place(), "expected a word, 'not' or '('")
        word = self._tokens.pop(0)[1].lower()
        return lambda name: word in name.lower()

    def _taken(self, token: str) -> bool:
        if self._tokens and self._tokens[0][1] == token:
            self._tokens.pop(0)
            return True
        return False

    def _place(self) -> int:
        return self._tokens[0][0] if self._tokens else len(self._text)

    def _error(self, place: int, what: str) -> BenchError:
        return BenchError(
            f"-k {self._text!r}: {what} at column {place + 1}",
            hint='for instance -k "depth:3- and not (tanh or sigmoid)"',
        )
