"""The JSON report: the records themselves, and the way back from the file to the records."""

from __future__ import annotations

import json
from collections.abc import Sequence

from testbed.record import Report, Run
from testbed.reports.output import write_text

SCHEMA = 1
"""The version of the format that is written and read."""


def dump(runs: Sequence[Run], shard: str | None = None) -> str:
    """One JSON object, ``{"schema": 1, "runs": [...]}``, in ASCII, so that any stream and terminal takes it.

    ``shard`` is the part of the whole that these runs are, "2/3". Raises ValueError for a number that JSON
    has no way to write (NaN, infinity).
    """
    report = Report(schema_version=SCHEMA, shard=shard, runs=tuple(runs))
    left_out = {"shard"} if shard is None else set()
    kept = report.model_dump(mode="json", by_alias=True, exclude=left_out)
    return json.dumps(kept, indent=2, allow_nan=False) + "\n"


def load(text: str) -> tuple[Run, ...]:
    """The runs of a report that ``dump`` wrote. Raises ValueError as ``load_report`` does."""
    return load_report(text).runs


def load_report(text: str) -> Report:
    """A report that ``dump`` wrote.

    Raises ValueError when the text is not JSON, not a report, or one of another schema version.
    """
    data = json.loads(text)
    version = data.get("schema") if isinstance(data, dict) else None
    if version != SCHEMA:
        raise ValueError(f"not a report of schema {SCHEMA}: its schema is {version!r}")
    return Report.model_validate(data)


def write(runs: Sequence[Run], path: str, shard: str | None = None) -> None:
    """Write the report to a file, or to standard output if the path is "-". Raises OSError."""
    write_text(dump(runs, shard), path)
