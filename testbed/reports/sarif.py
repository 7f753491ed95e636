"""The SARIF report (SARIF 2.1.0), which code hosts show beside the code: a rule for each scenario.

Runs that fail are errors, or warnings where they are inconclusive; what is accepted though it is not as
expected is a note, marked as suppressed. What is as expected is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from testbed import __version__
from testbed.compare.findings import visible
from testbed.record import Run, Standing
from testbed.reports import place
from testbed.reports.output import write_text
from testbed.reports.summary import Status, section, sentence, status

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
VERSION = "2.1.0"

_LEVELS = {Status.DIFFERS: "error", Status.INCONCLUSIVE: "warning", Status.KNOWN: "note"}
_STATES = {Standing.SAME: "unchanged", Standing.BETTER: "updated"}


def dump(runs: Sequence[Run], root: Path) -> str:
    """One JSON object. Files below ``root``, the repository, are named relative to it."""
    shown = [run for run in runs if status(run) in _LEVELS]
    numbers: dict[str, int] = {}
    rules: list[dict[str, Any]] = []
    for run in shown:
        if run.scenario not in numbers:
            numbers[run.scenario] = len(rules)
            rules.append(_rule(run))
    compared = any(run.standing is not None for run in runs)
    driver = {"name": "adox", "semanticVersion": __version__, "rules": rules}
    log = {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": driver},
                "results": [_result(run, numbers[run.scenario], root, compared) for run in shown],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def write(runs: Sequence[Run], path: str) -> None:
    """Write the report to a file, or to standard output if the path is "-". Raises OSError."""
    write_text(dump(runs, place.workspace()), path)


def _rule(run: Run) -> dict[str, Any]:
    """Section 3.49: a rule is what a result is about."""
    rule: dict[str, Any] = {
        "id": visible(run.scenario),
        "shortDescription": {"text": visible(run.title)},
        "properties": {"tags": ["dns", visible(section(run))]},
    }
    if run.says:
        rule["fullDescription"] = {"text": visible(run.says)}
    if run.claim is not None:
        rule["help"] = {"text": f"`adox claims` says what packets make of claim {run.claim}."}
    return rule


def _result(run: Run, rule: int, root: Path, compared: bool) -> dict[str, Any]:
    """Section 3.27. What tells results apart is the run, as one line of a file may be of many."""
    identity = hashlib.sha256(f"{run.id}\0{run.engine}".encode()).hexdigest()
    result: dict[str, Any] = {
        "ruleId": visible(run.scenario),
        "ruleIndex": rule,
        "level": _LEVELS[status(run)],
        "message": {"text": sentence(run)},
        "partialFingerprints": {"primaryLocationLineHash": identity},
        "properties": {
            "run": visible(run.id),
            "engine": visible(run.engine),
            "policy": visible(run.policy),
            "verdict": str(run.verdict),
            "leak": run.leak,
        },
    }
    if run.file:
        location: dict[str, Any] = {"artifactLocation": {"uri": _uri(run.file, root)}}
        if run.line:
            location["region"] = {"startLine": run.line}
        result["locations"] = [{"physicalLocation": location}]
    if compared:
        # Sections 3.27.23 and 3.27.24: all results of a run have these, or none.
        known = status(run) is Status.KNOWN
        result["baselineState"] = _STATES.get(run.standing, "new") if known and run.standing else "new"
        result["suppressions"] = [{"kind": "external", "status": "accepted"}] if known else []
    return result


def _uri(file: str, root: Path) -> str:
    inside = place.within(file, root)
    return quote(inside) if inside is not None else (Path.cwd() / file).as_uri()
