"""Selects scenarios by words, joined by and, or, not and parentheses, as pytest's -k does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from testbed.core.notation import quoted
from testbed.scenario.errors import ScenarioError

Matcher = Callable[[str], bool]
"""Tells whether a text (an id and a title) is selected."""

_SYMBOL = re.compile(r"\s*([()]|[^\s()]+)")
_OPERATORS = ("and", "or", "not")

MAX_DEPTH = 40
"""Levels of parentheses and negations."""


def matcher(expression: str) -> Matcher:
    """What an expression selects. Words are found anywhere in a text, in capitals or not.

    Raises ScenarioError when the expression is malformed.
    """
    return _Parser(expression).parse()


@dataclass
class _Parser:
    """Descends: alternatives of conjunctions of negations of words and parentheses."""

    expression: str
    at: int = 0

    def parse(self) -> Matcher:
        matches = self._alternatives(0)
        if self._peek() is not None:
            raise self._error("there is an operator missing before it; write and, or")
        return matches

    def _alternatives(self, depth: int) -> Matcher:
        parts = [self._conjunction(depth)]
        while self._peek() == "or":
            self._take()
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else lambda text: any(matches(text) for matches in parts)

    def _conjunction(self, depth: int) -> Matcher:
        parts = [self._negation(depth)]
        while self._peek() == "and":
            self._take()
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else lambda text: all(matches(text) for matches in parts)

    def _negation(self, depth: int) -> Matcher:
        symbol = self._peek()
        if depth > MAX_DEPTH:
            raise self._error(f"nested too deeply; {MAX_DEPTH} levels are plenty")
        if symbol == "not":
            self._take()
            negated = self._negation(depth + 1)
            return lambda text: not negated(text)
        if symbol == "(":
            self._take()
            matches = self._alternatives(depth + 1)
            if self._peek() != ")":
                raise self._error("a parenthesis is not closed; add ')'")
            self._take()
            return matches
        if symbol is None or symbol == ")" or symbol in _OPERATORS:
            raise self._error("a word is missing there; write a part of an id or a title")
        word = self._take().lower()
        return lambda text: word in text.lower()

    def _peek(self) -> str | None:
        match = _SYMBOL.match(self.expression, self.at)
        return match.group(1) if match else None

    def _take(self) -> str:
        match = _SYMBOL.match(self.expression, self.at)
        assert match is not None
        self.at = match.end()
        return match.group(1)

    def _error(self, message: str) -> ScenarioError:
        symbol = self._peek()
        place = f"at {quoted(symbol)}" if symbol is not None else "at the end"
        return ScenarioError(f"-k {quoted(self.expression)}", 0, 0, f"{place}: {message}")
