"""What is wrong with a scenario file, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from testbed.core.notation import quoted

MAX_NAMED = 12
"""As many known words are listed where none resembles the unknown one."""


class ScenarioError(Exception):
    """Unusable input: one thing that is wrong, where it is, and what would be right.

    ``line`` and ``column`` count from 1; both are 0 where the error is not inside a file, as with a folder
    that does not exist.
    """

    def __init__(self, path: Path | str, line: int, column: int, message: str) -> None:
        super().__init__(path, line, column, message)
        self.path = path
        self.line = line
        self.column = column
        self.message = message

    @property
    def errors(self) -> tuple[ScenarioError, ...]:
        """Every single error: this one."""
        return (self,)

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else str(self.path)
        return f"{place}: {self.message}"


class ScenarioErrors(ScenarioError):  # noqa: N818 it is raised for errors, not for one
    """Several errors at once, in the order of files and lines. It is printed as one line for each."""

    def __init__(self, errors: Iterable[ScenarioError]) -> None:
        self._errors = tuple(errors)
        first = self._errors[0]
        super().__init__(first.path, first.line, first.column, first.message)

    @property
    def errors(self) -> tuple[ScenarioError, ...]:
        """Every single error."""
        return self._errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self._errors)

    def __reduce__(self) -> tuple[type[ScenarioErrors], tuple[tuple[ScenarioError, ...]]]:
        return type(self), (self._errors,)


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words as a sentence lists them: "a, b and c"."""
    *head, tail = words
    return f"{', '.join(head)} {last} {tail}" if head else tail


def unknown(kind: str, word: str, known: Iterable[str], where: str = "") -> str:
    """The message for a word that nobody knows ``where``: what resembles it, or what there is."""
    choices = sorted(known)
    close = difflib.get_close_matches(word.lower(), choices, n=1)
    if close:
        advice = f"did you mean {quoted(close[0])}?"
    elif choices:
        more = ", ..." if len(choices) > MAX_NAMED else ""
        advice = f"there is: {', '.join(choices[:MAX_NAMED])}{more}"
    else:
        advice = "there is none"
    return f"unknown {kind} {quoted(word)}{where}; {advice}"
