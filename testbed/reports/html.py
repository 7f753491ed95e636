"""The HTML report: one file that needs no other, for a browser, a printer or a slide."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from testbed.compare.findings import HOW, at_rest, visible, worst_secret
from testbed.record import Exposure, Outcome, Run, Secret, Verdict
from testbed.reports import ladder
from testbed.reports.summary import (
    Row,
    Status,
    anchors,
    axes,
    capture_path,
    differing,
    matrix,
    section,
    status,
    tally,
    took,
    tshark,
)

SYMBOLS = dict(zip(Verdict, "✖●▼■✔?-/", strict=True))
"""Stands beside the word in every badge, so that colour is never the only sign."""

MEANINGS = {
    Verdict.HIJACK: "the client accepted an answer that differs from the truth",
    Verdict.LEAK: "the attacker learned the sensitive zone, or the whole sensitive name",
    Verdict.DOWNGRADE: "a query went out less protected than without the attack",
    Verdict.DENIAL: "no answer, where there was one without the attack",
    Verdict.SAFE: "none of these",
    Verdict.INCONCLUSIVE: "nothing can be said: the attack never fired, or the run itself failed",
    Verdict.SKIPPED: "not run",
    Verdict.NOT_APPLICABLE: "nothing that this resolver can do",
}


LEGEND = {
    "clear": "clear text",
    "encrypted": "encrypted, server not authenticated",
    "secure": "secure: encrypted, server authenticated",
    "attacker": "an attacker on the link",
    "zone": "the attacker read the zone",
    "name": "the attacker read the name",
    "altered": "made, changed or swallowed by the attacker",
}
"""The marks of ladder diagrams."""

_FLAGS = ("downgrade", "hijack", "denial", "detected")


@dataclass(frozen=True, slots=True)
class _Shown:
    """An exposure with where to look for it."""

    exposure: Exposure
    href: str | None
    command: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the comparison of baseline and attack."""

    name: str
    baseline: str
    attack: str

    @property
    def changed(self) -> bool:
        """Whether the attack made a difference here."""
        return self.baseline not in ("", self.attack)


@dataclass(frozen=True, slots=True)
class _Detail:
    """A run, made ready for its section of the page."""

    run: Run
    anchor: str
    status: Status
    differing: tuple[str, ...]
    section: str
    axes: dict[str, str]
    ladder: str | None
    """Markup; the drawing has escaped every text in it."""
    marks: frozenset[str]
    at_rest: Secret
    exposures: list[_Shown]
    compared: list[_Line]
    open: bool

    @property
    def filter(self) -> Markup:
        """The attributes by which the page's script finds this run."""
        values = {
            "verdict": self.run.verdict,
            "policy": self.run.policy,
            "section": self.section,
            "status": self.status,
            "text": f"{self.run.id} {self.run.title}",
        }
        return Markup(" ").join(
            Markup('data-{}="{}"').format(name, visible(value)) for name, value in values.items()
        )


def write(runs: Sequence[Run], folder: Path) -> Path:
    """Write ``index.html`` into a folder, which is made if need be, and return its path. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(render(runs, folder), encoding="utf-8")
    return page


def render(runs: Sequence[Run], folder: Path) -> str:
    """The page, with links to captures as seen from the folder that it will be in."""
    environment = _environment()
    table = matrix(runs)
    ordered = table.runs
    names = anchors(ordered)
    first = _first_open(ordered)
    details = [_detail(run, name, folder, run is first) for run, name in zip(ordered, names, strict=True)]
    by_run = {id(detail.run): detail for detail in details}
    script = _source("filter.js")
    return environment.get_template("report.html").render(
        table=table,
        details=details,
        detail_of=lambda run: by_run[id(run)],
        tally=tally(runs),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        policies=sorted({run.policy for run in runs}),
        verdicts=[verdict for verdict in Verdict if any(run.verdict is verdict for run in runs)],
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("testbed.reports"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        SYMBOLS=SYMBOLS, MEANINGS=MEANINGS, HOW=HOW, LEGEND=LEGEND, cells=_cells, took=took
    )
    return environment


def _finalize(value: Any) -> Any:
    """Every text that the page shows passes here, before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _first_open(runs: Sequence[Run]) -> Run | None:
    """The first run that differs from what was expected, or else the worst."""
    failures = (run for run in runs if status(run) is Status.DIFFERS)
    return next(failures, min(runs, key=lambda run: list(Verdict).index(run.verdict), default=None))


def _cells(row: Row, column: str) -> list[Run]:
    return row.cells.get(column, [])


def _detail(run: Run, anchor: str, folder: Path, is_open: bool) -> _Detail:
    drawing = ladder.draw(run)
    return _Detail(
        run=run,
        anchor=anchor,
        status=status(run),
        differing=differing(run),
        section=section(run),
        axes=axes(run),
        ladder=drawing.svg if drawing else None,
        marks=drawing.marks if drawing else frozenset(),
        exposures=[_show(run, exposure, folder) for exposure in run.exposures],
        at_rest=at_rest(run),
        compared=_compare(run.baseline, run),
        open=is_open,
    )


def _show(run: Run, exposure: Exposure, folder: Path) -> _Shown:
    """Where the capture is, as seen from the page; without an evidence folder nobody knows."""
    if run.evidence is None:
        return _Shown(exposure, None, tshark(exposure.capture, exposure.packet))
    path = os.path.relpath(capture_path(run, exposure.capture), folder)
    return _Shown(exposure, quote(path), tshark(path, exposure.packet))


def _compare(baseline: Outcome | None, attacked: Outcome) -> list[_Line]:
    """The attack beside the baseline, if there is one, line by line."""
    before = {} if baseline is None else _facts(baseline, worst_secret(baseline.exposures))
    after = _facts(attacked, at_rest(attacked))
    lines = [_Line(name, before.get(name, ""), after.get(name, "")) for name in {**before, **after}]
    return [line for line in lines if line.name not in _FLAGS or "yes" in (line.baseline, line.attack)]


def _measured(outcome: Outcome) -> tuple[tuple[str, int | None], ...]:
    """What only some scenarios have a number for."""
    return (
        ("queries to servers that encrypt, per cent", outcome.encrypting_share),
        ("RRsets to change", outcome.changed_rrsets),
        ("zones to change", outcome.changed_zones),
    )


def _facts(outcome: Outcome, exposed_at_rest: Secret) -> dict[str, str]:
    facts = {"verdict": str(outcome.verdict), "leak": outcome.leak, "exposed at rest": exposed_at_rest}
    facts |= {name: "yes" if getattr(outcome, name) else "no" for name in _FLAGS}
    facts |= {name.replace("_", " "): f"{count:,}" for name, count in outcome.counts}
    facts |= {text: str(value) for text, value in _measured(outcome) if value is not None}
    answers = outcome.answer
    return facts | {
        "answer" if len(answers) == 1 else f"answer {number}": text for number, text in enumerate(answers, 1)
    }
