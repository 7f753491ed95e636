"""The terminal: live progress while runs come in, then the matrix and what differs from the expectation."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TextIO

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from testbed.compare.findings import at_rest, decisive, visible
from testbed.record import Run, Verdict
from testbed.reports.summary import (
    Matrix,
    Row,
    Status,
    axes,
    capture_path,
    differing,
    fails,
    matrix,
    status,
    tally,
    tshark,
)

REDRAW_S = 0.1
"""The live display is drawn again no sooner than this many seconds after the last time."""

_STYLES = {
    Verdict.HIJACK: "bold magenta",
    Verdict.LEAK: "bold red",
    Verdict.DOWNGRADE: "yellow",
    Verdict.DENIAL: "blue",
    Verdict.SAFE: "green",
    Verdict.INCONCLUSIVE: "cyan",
    Verdict.SKIPPED: "dim",
    Verdict.NOT_APPLICABLE: "dim",
}
_SCENARIO_WIDTH = 28
"""Longer names are wrapped rather than that the policies go below each other."""
_INDENT = 2
_GAP = 2
_ASCII_RULE = box.Box("    \n" * 2 + " -- \n" + "    \n" * 5, ascii=True)


@dataclass(frozen=True, slots=True)
class Signs:
    """The symbols of a table cell. Each stands beside a word, or is explained under the table."""

    verdicts: dict[Verdict, str]
    downgrade: str
    at_rest: str
    differs: str
    known: str
    unjudged: str


_UNICODE = Signs(dict(zip(Verdict, "✖●▼■✔?-/", strict=True)), "↓", "○", "≠", "≈", "·")
_ASCII = Signs(dict(zip(Verdict, "X*v#+?-/", strict=True)), "v", "o:", "!=", "~", ".")


def terminal(stream: TextIO | None = None, width: int | None = None) -> Console:
    """A console for a stream (standard output if None), with colour only where a person can see it.

    Elsewhere, and with ``NO_COLOR`` set (no-color.org), it prints no colour and no other style. ``width`` is
    in columns; None asks the terminal.
    """
    return Console(
        file=stream or sys.stdout,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )


class _Writer:
    """Turns parts of a record into text that a given console can show."""

    def __init__(self, console: Console) -> None:
        self.encoding = console.encoding or "ascii"
        try:
            "".join([*_UNICODE.verdicts.values(), "↓○≠≈·"]).encode(self.encoding)
            self.signs = _UNICODE
        except (UnicodeEncodeError, LookupError):
            self.signs = _ASCII
        self.plain = console.no_color or not console.is_terminal

    def text(self, content: str, style: str = "") -> Text:
        """Content from a record: nothing in it moves the cursor, and the encoding has a place for it."""
        shown = visible(content)
        if self.signs is _ASCII:
            shown = shown.encode("ascii", "backslashreplace").decode("ascii")
        return Text(shown, "" if self.plain else style, overflow="fold")

    def badge(self, run: Run) -> Text:
        """A verdict with its symbol, and what a reader must know beside it, in a few characters."""
        leak = "" if run.leak == "none" else f" {run.leak}"
        head = f"{self.signs.verdicts[run.verdict]} {run.verdict}{leak}"
        badge = self.text(head, _STYLES[run.verdict])
        if run.downgrade:
            badge.append_text(self.text(f" {self.signs.downgrade}", "yellow"))
        if (rest := at_rest(run)) != "none":
            badge.append_text(self.text(f" {self.signs.at_rest}{rest}", "dim"))
        if status(run) is Status.DIFFERS:
            badge.append_text(self.text(f" {self.signs.differs}", "bold reverse red"))
        elif status(run) is Status.KNOWN:
            badge.append_text(self.text(f" {self.signs.known}", "dim"))
        elif status(run) is Status.UNJUDGED:
            badge.append_text(self.text(f" {self.signs.unjudged}", "dim"))
        return badge

    def name(self, row: Row) -> Text:
        """What stands at the head of a row."""
        name = self.text(row.name)
        if row.axes:
            name.append_text(self.text(f" ({_axes(row.axes)})", "dim"))
        return name


def _axes(values: dict[str, str]) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in values.items())


# -- the matrix ------------------------------------------------------------------------------------


def report(runs: Sequence[Run], console: Console, elapsed_s: float | None = None) -> None:
    """Print the matrix, the counts, and every run that differs or is inconclusive, with its packet.

    ``elapsed_s`` is the wall-clock time of the whole; without it, the durations of the runs are added up.
    """
    writer = _Writer(console)
    table = matrix(runs)
    if runs:
        console.print(_table(table, writer, console.width))
        console.print(_legend(runs, writer))
    for run in table.runs:
        if fails(run):
            console.print()
            console.print(_details(run, writer))
            _commands(run, writer, console)
    console.print()
    console.print(_closing(runs, writer, elapsed_s))


def _table(table: Matrix, writer: _Writer, width: int) -> Table:
    names = [len(writer.name(row)) + _INDENT for row in table.rows]
    needed = min(max(names), _SCENARIO_WIDTH)
    for column in table.columns:
        badges = [len(writer.badge(run)) for row in table.rows for run in row.cells.get(column, [])]
        needed += _GAP + max(len(column), *badges)
    return _wide(table, writer) if needed <= width else _long(table, writer)


def _new_table(columns: Sequence[Text], writer: _Writer) -> Table:
    table = Table(
        box=_ASCII_RULE if writer.signs is _ASCII else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        header_style="" if writer.plain else "bold",
    )
    table.add_column("scenario", overflow="fold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _wide(table: Matrix, writer: _Writer) -> Table:
    """A column for each policy."""
    laid = _new_table([writer.text(column) for column in table.columns], writer)
    for section in table.sections:
        laid.add_row(writer.text(section.name, "bold"))
        for row in section.rows:
            cells = [
                Text("\n").join(writer.badge(run) for run in row.cells.get(column, []))
                for column in table.columns
            ]
            laid.add_row(Padding(writer.name(row), (0, 0, 0, _INDENT)), *cells)
        if section is not table.sections[-1]:
            laid.add_row()
    return laid


def _long(table: Matrix, writer: _Writer) -> Table:
    """A line for each run, where the policies do not fit beside each other."""
    laid = _new_table([Text("policy"), Text("verdict")], writer)
    for section in table.sections:
        laid.add_row(writer.text(section.name, "bold"))
        for row in section.rows:
            name: Padding | str = Padding(writer.name(row), (0, 0, 0, _INDENT))
            for column in table.columns:
                for run in row.cells.get(column, []):
                    laid.add_row(name, writer.text(column), writer.badge(run))
                    name = ""
        if section is not table.sections[-1]:
            laid.add_row()
    return laid


def _legend(runs: Sequence[Run], writer: _Writer) -> Text:
    """What the signs mean that occur."""
    signs = writer.signs
    parts = [
        (any(run.downgrade for run in runs), f"{signs.downgrade} downgraded"),
        (any(at_rest(run) != "none" for run in runs), f"{signs.at_rest} exposed at rest, without any attack"),
        (any(status(run) is Status.DIFFERS for run in runs), f"{signs.differs} not as expected"),
        (any(status(run) is Status.KNOWN for run in runs), f"{signs.known} not as expected, but accepted"),
        (any(status(run) is Status.UNJUDGED for run in runs), f"{signs.unjudged} nothing was expected"),
    ]
    return writer.text("   ".join(text for occurs, text in parts if occurs), "dim")


def _closing(runs: Sequence[Run], writer: _Writer, elapsed_s: float | None) -> Text:
    seconds = sum(run.duration_s for run in runs) if elapsed_s is None else elapsed_s
    ran = sum(status(run) not in (Status.SKIPPED, Status.NOT_APPLICABLE) for run in runs)
    pace = f", {ran / seconds:.1f} runs/s" if ran and seconds > 0 else ""
    statuses = tally(runs).statuses
    style = "bold red" if Status.DIFFERS in statuses else "bold"
    return writer.text(f"{tally(runs).sentence} in {seconds:.1f} s{pace}", style)


# -- what differs ----------------------------------------------------------------------------------


def _details(run: Run, writer: _Writer) -> Group:
    sign = writer.signs.differs if status(run) is Status.DIFFERS else writer.signs.verdicts[run.verdict]
    head = writer.text(
        f"{sign} {run.id}", "bold red" if status(run) is Status.DIFFERS else _STYLES[run.verdict]
    )
    values = {"policy": run.policy, **axes(run)}
    lines = [writer.text(f"{run.title} ({_axes(values)})")]
    lines += [writer.text(text) for text in differing(run) if status(run) is Status.DIFFERS]
    if run.reason:
        lines.append(writer.text(run.reason))
    found = decisive(run)
    if found is not None:
        lines.append(writer.text(f"packet {found.packet} on link {found.link}: {found.text}"))
    return Group(head, *(Padding(line, (0, 0, 0, 4), expand=False) for line in lines))


def _commands(run: Run, writer: _Writer, console: Console) -> None:
    """The capture to open, on lines that are not wrapped, so that they can be copied."""
    found = decisive(run)
    if found is not None and found.capture is not None:
        command = tshark(capture_path(run, found.capture), found.packet)
        console.print(writer.text(f"    {command}", "dim"), soft_wrap=True)
    elif run.evidence is not None:
        console.print(writer.text(f"    captures: {run.evidence}", "dim"), soft_wrap=True)


# -- progress --------------------------------------------------------------------------------------


class Progress:
    """Shows runs as they finish: a live display on a terminal, one plain line for each run elsewhere.

    A context manager. It starts no thread (the runner forks): it draws when ``finished`` is called. ``clock``
    gives seconds from any fixed moment.
    """

    def __init__(self, total: int, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._console = console
        self._writer = _Writer(console)
        self._clock = clock
        self._started = clock()
        self._drawn = self._started
        self._verdicts: Counter[Verdict] = Counter()
        self._last: Run | None = None
        animated = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if animated else None

    @property
    def elapsed_s(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._started

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def finished(self, run: Run) -> None:
        """Take note of a run that has ended."""
        self.done += 1
        self._verdicts[run.verdict] += 1
        self._last = run
        if self._live is None:
            self._console.print(self._line(run), soft_wrap=True)
            return
        if fails(run):
            self._live.console.print(self._line(run))
        if self.done == self.total or self._clock() - self._drawn >= REDRAW_S:
            self._draw()

    def _line(self, run: Run) -> Text:
        width = len(str(self.total))
        line = self._writer.text(f"[{self.done:{width}}/{self.total}] {run.id}  ")
        line.append_text(self._writer.badge(run))
        reason = f" ({run.reason})" if run.reason else ""
        return line.append_text(self._writer.text(f"{reason}  {run.duration_s:.2f} s", "dim"))

    def _draw(self) -> None:
        assert self._live is not None
        self._drawn = self._clock()
        pace = self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0
        left = f", {(self.total - self.done) / pace:.0f} s left" if pace else ""
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(self.total, 1), completed=self.done, width=30),
            self._writer.text(f"{self.done}/{self.total}  {pace:.1f} runs/s{left}"),
        )
        counts = Text("  ").join(
            self._writer.text(
                f"{self._writer.signs.verdicts[verdict]} {self._verdicts[verdict]} {verdict}",
                _STYLES[verdict],
            )
            for verdict in Verdict
            if self._verdicts[verdict]
        )
        last = self._line(self._last) if self._last else Text()
        last.no_wrap, last.overflow = True, "crop"
        self._live.update(Group(bar, counts, last), refresh=True)
