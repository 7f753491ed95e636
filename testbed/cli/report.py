"""``adox report``: reports on records, of one runner or of several that shared the work."""

from __future__ import annotations

from collections.abc import Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from testbed.cli._accepting import Accept, AcceptInconclusive, BaselineFile, baseline
from testbed.cli._reporting import Github, JsonFile, JunitFile, Page, Reports, SarifFile, exit_code
from testbed.record import Report, Run
from testbed.reports import jsonfile
from testbed.run import shard as shards
from testbed.scenario.errors import ScenarioError, listed


def command(
    files: Annotated[list[Path], typer.Argument(help="What `adox run --json` wrote, here or elsewhere.")],
    baseline_file: BaselineFile = None,
    accept: Accept = False,
    accept_inconclusive: AcceptInconclusive = False,
    json_file: JsonFile = None,
    junit_file: JunitFile = None,
    sarif_file: SarifFile = None,
    report: Page = None,
    github: Github = None,
) -> None:
    """Put the records of one or several `adox run --json` together, and report on them all at once.

    Where runs were shared out with --shard, the records of every part must be there. Exit status: as that of
    `adox run`.
    """
    known = baseline(baseline_file, accept, accept_inconclusive)
    runs: Sequence[Run] = together({str(file): _read(file) for file in files})
    notes: list[str] = []
    if known is not None:
        runs, notes = known.compare(runs)
    reports = Reports(json_file, junit_file, sarif_file, report, github)
    reports.write(runs, reports.screen(), notes)
    raise typer.Exit(exit_code(runs))


def _read(file: Path) -> Report:
    try:
        report = jsonfile.load_report(file.read_text(encoding="utf-8"))
        if report.shard is not None:
            shards.parse(report.shard)
    except OSError as error:
        raise ScenarioError(file, 0, 0, f"cannot be read ({error.strerror})") from error
    except JSONDecodeError as error:
        raise ScenarioError(file, error.lineno, error.colno, f"this is no JSON: {error.msg}") from error
    except ValidationError as error:
        raise ScenarioError(file, 0, 0, f"{error.error_count()} errors in the records") from error
    except ValueError as error:
        raise ScenarioError(file, 0, 0, str(error)) from error
    return report


def together(reports: dict[str, Report]) -> list[Run]:
    """All runs, by id. ``reports`` go by the names of their files.

    Raises ScenarioError for parts that are missing or do not belong together, and runs that are there twice.
    """
    _require_all_parts({name: report.shard for name, report in reports.items()})
    found: dict[tuple[str, str], tuple[str, Run]] = {}
    for name, report in reports.items():
        for run in report.runs:
            key = (run.id, run.engine)
            if key in found:
                message = f"{run.id} stands in {found[key][0]} too; give the records of one run of the suite"
                raise ScenarioError(name, 0, 0, message)
            found[key] = name, run
    return [run for _, (_, run) in sorted(found.items())]


def _require_all_parts(written: dict[str, str | None]) -> None:
    """Raise ScenarioError where a part of a whole is missing: its runs might have failed."""
    parts: dict[str, str] = {}
    for name, part in written.items():
        if part is None:
            continue
        if part in parts:
            raise ScenarioError(name, 0, 0, f"this is part {part}, and so is {parts[part]}; give each once")
        parts[part] = name
    if not parts:
        return
    first, *others = (shards.parse(part) for part in parts)
    if len(parts) != len(written) or any(other.count != first.count for other in others):
        message = f"some are parts of {first.count}, some are not; give the records of one run of the suite"
        raise ScenarioError(next(iter(written)), 0, 0, message)
    whole = [str(shards.Shard(number, first.count)) for number in range(1, first.count + 1)]
    if missing := [part for part in whole if part not in parts]:
        message = f"parts that are missing: {listed(missing)}; give the records of every runner"
        raise ScenarioError(next(iter(written)), 0, 0, message)
