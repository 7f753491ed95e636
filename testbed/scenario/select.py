"""Selects scenarios by words, joined by and, or, not and parentheses, as pytest's -k does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from testbed.scenario.errors import ScenarioError, quoted

Matcher = Callable[[str], bool]
"""Tells whether a text (an id and a title) is selected."""

_SYMBOL = re.compile(r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<word>[^\s()]+))")
_OPERATORS = ("and", "or", "not")


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
        matches = self._alternatives()
        if self._peek() is not None:
            raise self._error("there is an operator missing before it; write and, or")
        return matches

    def _alternatives(self) -> Matcher:
        matches = self._conjunction()
        while self._peek() == "or":
            self._take()
            matches = _either(matches, self._conjunction())
        return matches

    def _conjunction(self) -> Matcher:
        matches = self._negation()
        while self._peek() == "and":
            self._take()
            matches = _both(matches, self._negation())
        return matches

    def _negation(self) -> Matcher:
        symbol = self._peek()
        if symbol == "not":
            self._take()
            negated = self._negation()
            return lambda text: not negated(text)
        if symbol == "(":
            self._take()
            matches = self._alternatives()
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
        return match.group().strip() if match else None

    def _take(self) -> str:
        match = _SYMBOL.match(self.expression, self.at)
        assert match is not None
        self.at = match.end()
        return match.group().strip()

    def _error(self, message: str) -> ScenarioError:
        symbol = self._peek()
        place = f"at {quoted(symbol)}" if symbol is not None else "at the end"
        return ScenarioError(f"-k {quoted(self.expression)}", 0, 0, f"{place}: {message}")


def _both(left: Matcher, right: Matcher) -> Matcher:
    return lambda text: left(text) and right(text)


def _either(left: Matcher, right: Matcher) -> Matcher:
    return lambda text: left(text) or right(text)
