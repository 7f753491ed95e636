"""``adox accept``: makes the results of this moment the accepted ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from testbed import results
from testbed.attack.describe import descriptions
from testbed.cli import ExitCode
from testbed.cli._running import run_all
from testbed.cli.claims import words
from testbed.compare import reference
from testbed.compare.reference import Entry
from testbed.engines import catalogue
from testbed.grading import accepted, measure
from testbed.grading.grade import grade
from testbed.network.pcapng import write_whole
from testbed.record import NOT_RUN, Verdict
from testbed.reports import attackers as attackers_report
from testbed.reports import card, fields
from testbed.reports import claims as claims_report
from testbed.reports import costs as costs_report
from testbed.reports import engines as engines_report
from testbed.scenario.errors import ScenarioError, unknown
from testbed.scenario.load import SCENARIOS, collect
from testbed.scenario.schema import schema
from testbed.tables import claims, costs, engine_results, matrix, probing

DOCS = reference.FOLDER.parents[1] / "docs"


def command(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART]...", help="scenarios, costs, matrix, engines, cards, docs; default: all."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
) -> None:
    """Run everything, and write results/reference and the pages of docs that are made from it.

    What changed is for a review to look at: `git diff`, or `adox diff`. Nothing is written, and the exit
    status is 1, when a scenario does not come out as it expects, or something comes to nothing.
    """
    for part in parts or ():
        if part not in PARTS:
            raise ScenarioError(part, 0, 0, unknown("part", part, PARTS))
    for part in PARTS:
        if not parts or part in parts:
            PARTS[part](jobs)


def _scenarios(jobs: int | None) -> None:
    runs = run_all(collect([SCENARIOS]), jobs, None)
    wrong = [run.id for run in runs if run.expected is False or run.verdict in NOT_RUN]
    _refuse(wrong, "did not come out as expected")
    kept = reference.write(reference.entries(runs), "Accepted results of the scenarios")
    _write(reference.FOLDER / reference.SCENARIOS_FILE, kept)


def _costs(jobs: int | None) -> None:
    runs = run_all(costs.cells(), jobs, None)
    _refuse([run.id for run in runs if run.verdict is Verdict.INCONCLUSIVE], "came to nothing")
    kept = reference.write(costs.entries(costs.table(runs)), "Accepted costs, beyond those of plain DNS")
    _write(reference.FOLDER / reference.COSTS_FILE, kept)


def _matrix(jobs: int | None) -> None:
    rows = matrix.rows(run_all(matrix.cells(), jobs, None))
    _write(reference.FOLDER / reference.MATRIX_FILE, matrix.table(rows))


def _engines(jobs: int | None) -> None:
    found = collect([SCENARIOS])
    for name in catalogue.names():
        known = engine_results.explanations(name)
        kept = engine_results.entries(run_all(engine_results.cells(name, found), jobs, None), known)
        _refuse(list(engine_results.unexplained(kept, known)), f"({name})")
        text = reference.write(kept, f"Accepted results of scenarios with {name}")
        _write(engine_results.path_of(name), text)
    cells = probing.cells(found, probing.resolvers())
    runs = [run for _ in range(probing.REPEATS) for run in run_all(cells, jobs, None)]
    _write(engine_results.FOLDER / probing.FILE, probing.table(probing.rows(runs)))


def _cards(jobs: int | None) -> None:
    graded = accepted.subjects()
    with tempfile.TemporaryDirectory() as folder:
        first, *others = (
            grade(graded, Path(folder), lambda cells: run_all(cells, jobs, None, measured=False))
            for _ in range(accepted.ROUNDS)
        )
    measure.keep(first)
    for number, (subject, grades) in enumerate(first):
        varying = accepted.varying([grades, *(cards[number][1] for cards in others)])
        _write(accepted.place(subject), card.accepted(subject, grades, varying))


def _docs(_jobs: int | None) -> None:
    for name, text in documents().items():
        _write(DOCS / name, text)


def documents() -> dict[str, str]:
    """The pages of documentation that are made from accepted results and from the code, by file name."""
    kept = results.read(reference.FOLDER)
    scheme = schema(SCENARIOS)
    finished = claims.assess(kept.entries, kept.matrix)
    attackers = (DOCS / "attackers.md").read_text(encoding="utf-8")
    return {
        "attackers.md": attackers_report.page(attackers, descriptions()),
        "claims.md": claims_report.page(finished, words()),
        "costs.md": costs_report.page(kept.entries),
        "engine-differences.md": engines_report.page(_of_engines()),
        "fields.md": fields.fields_page(scheme),
        "signals.md": fields.signals_page(scheme),
        "topologies.md": fields.topologies_page(),
    }


def _of_engines() -> dict[str, tuple[str, Mapping[str, Entry], Sequence[engine_results.Explanation]]]:
    return {
        name: (
            catalogue.load(name).description.title,
            engine_results.load(name),
            engine_results.explanations(name),
        )
        for name in catalogue.names()
    }


PARTS: Mapping[str, Callable[[int | None], None]] = {
    "scenarios": _scenarios,
    "costs": _costs,
    "matrix": _matrix,
    "engines": _engines,
    "cards": _cards,
    "docs": _docs,
}
"""What can be accepted, in the order in which one needs the other."""


def _refuse(ids: list[str], what: str) -> None:
    for id in ids:
        typer.echo(f"adox: {id} {what}; nothing is written", err=True)
    if ids:
        raise typer.Exit(ExitCode.DIFFERS)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
    typer.echo(f"wrote {path}")
