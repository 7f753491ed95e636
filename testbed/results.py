"""Reads results back, whatever form they were kept in: records, folders of runs, accepted results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from testbed.compare import reference
from testbed.compare.reference import Entry
from testbed.record import Run
from testbed.reports import jsonfile
from testbed.run.keep import RECORD
from testbed.tables import matrix

JSON = ".json"


class UnusableError(ValueError):
    """There are no results in a file or folder; the message says why."""


@dataclass(slots=True)
class Results:
    """Results by id. ``runs`` are their full records, where there are any; ``matrix`` rows of the matrix."""

    entries: dict[str, Entry] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    matrix: dict[str, Entry] = field(default_factory=dict)

    def add(self, runs: Iterable[Run]) -> None:
        """Take in records."""
        for run in runs:
            self.entries |= reference.entries([run])
            self.runs[run.id] = run


def read(path: Path) -> Results:
    """The results in a file or folder: JSON of ``adox run``, its evidence, or accepted results.

    Raises UnusableError for anything else.
    """
    found = Results()
    try:
        if path.is_dir():
            _read_folder(path, found)
        elif path.suffix == JSON:
            found.add(_records(path))
        else:
            _read_text(path, found)
    except (OSError, ValueError) as error:
        text = f"{error.error_count()} errors in the record" if isinstance(error, ValidationError) else error
        raise UnusableError(f"{path}: {text}") from error
    if not found.entries and not found.matrix:
        raise UnusableError(f"{path}: there are no results here")
    return found


def _read_folder(folder: Path, found: Results) -> None:
    texts = sorted(folder.glob("*.txt"))
    for text in texts:
        _read_text(text, found)
    for record in sorted(folder.rglob(RECORD)):
        found.add([Run.model_validate_json(record.read_bytes())])
    if not texts and not found.runs:
        for report in sorted(folder.glob(f"*{JSON}")):
            found.add(_records(report))


def _records(path: Path) -> tuple[Run, ...]:
    """The records in a JSON file: many, or one."""
    text = path.read_text(encoding="utf-8")
    if path.name == RECORD:
        return (Run.model_validate_json(text),)
    return jsonfile.load(text)


def _read_text(path: Path, found: Results) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name == reference.MATRIX_FILE or text.startswith(matrix.HEADER.partition("\n")[0]):
        found.matrix |= matrix.parse(text)
    else:
        found.entries |= reference.parse(text)
