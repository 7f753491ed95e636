"""For GitHub Actions: workflow commands, which become annotations, and the summary of a job."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from testbed.compare.findings import visible
from testbed.record import Run, Standing
from testbed.reports import place
from testbed.reports.summary import Status, differing, fails, sentence, status, tally

ACTIONS = "GITHUB_ACTIONS"
"""The variable that is "true" on a runner of GitHub Actions."""

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable that names the file to which a step's summary is added."""

MAX_ANNOTATIONS = 10
"""Of one kind and in one step; GitHub shows no more. The summary has them all."""

MAX_ROWS = 1000
"""Rows of a table in the summary, which may have 1 MiB."""


def here() -> bool:
    """Whether this is a runner of GitHub Actions."""
    return os.environ.get(ACTIONS) == "true"


def commands(runs: Sequence[Run], root: Path) -> list[str]:
    """A command for each run that fails, an error, and for each that is better than accepted, a notice."""
    errors = [_command("error", run, sentence(run), root) for run in runs if fails(run)]
    notices = [
        _command("notice", run, f"{run.id}: {run.standing}: {'; '.join(run.changes)}", root)
        for run in runs
        if run.standing is Standing.BETTER
    ]
    return errors[:MAX_ANNOTATIONS] + notices[:MAX_ANNOTATIONS]


def _command(kind: str, run: Run, text: str, root: Path) -> str:
    file = place.within(run.file, root)
    properties = {} if file is None else {"file": file, **({"line": str(run.line)} if run.line else {})}
    properties["title"] = f"{run.scenario}: {run.title}"
    given = ",".join(f"{name}={_property(visible(value))}" for name, value in properties.items())
    return f"::{kind} {given}::{_data(visible(text))}"


def _data(text: str) -> str:
    """A text after the second pair of colons."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A text that ends at a comma or a colon."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(runs: Sequence[Run], notes: Sequence[str] = ()) -> str:
    """The summary of a job, in Markdown: the counts, what fails, what is worth knowing."""
    failing = [run for run in runs if fails(run)]
    mark = "❌" if failing else "✅"
    parts = [f"### {mark} adox\n\n{_text(tally(runs).sentence)}\n"]
    if failing:
        parts.append(_table(failing))
    if notes:
        parts.append("\n".join(f"- {_text(note.strip())}" for note in notes) + "\n")
    return "\n".join(parts)


def _table(runs: Sequence[Run]) -> str:
    rows = ["| run | verdict | what is wrong |", "| --- | --- | --- |"]
    for run in runs[:MAX_ROWS]:
        why = differing(run) if status(run) is Status.DIFFERS else (run.reason,)
        rows.append(f"| {_text(run.id)} | {run.verdict} | {'<br>'.join(map(_text, why))} |")
    if len(runs) > MAX_ROWS:
        rows.append(f"\n{len(runs) - MAX_ROWS} more are in the log.")
    return "\n".join(rows) + "\n"


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|~"})


def _text(text: str) -> str:
    """A text in which nothing is markup."""
    return escape(visible(text)).translate(_MARKDOWN)


def write_summary(runs: Sequence[Run], notes: Sequence[str] = ()) -> None:
    """Add the summary to that of this step; nothing where there is no place for it. Raises OSError."""
    if path := os.environ.get(SUMMARY):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(summary(runs, notes) + "\n")
