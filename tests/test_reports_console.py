from __future__ import annotations

import io
import re

import pytest
import records
from rich.console import Console

from testbed.record import Standing
from testbed.reports import console
from testbed.reports.summary import tshark


class Stream(io.TextIOWrapper):
    """A stream with an encoding, that may claim to be a terminal."""

    def __init__(self, encoding="utf-8", tty=False):
        self.bytes = io.BytesIO()
        self.tty = tty
        super().__init__(self.bytes, encoding=encoding, newline="")

    def isatty(self):
        return self.tty

    @property
    def text(self):
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def printed(runs, width=80, encoding="utf-8", tty=False, elapsed_s=4.0):
    stream = Stream(encoding, tty)
    console.report(runs, console.terminal(stream, width), elapsed_s)
    return stream.text


def line_of(text, start):
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_the_matrix_at_80_columns():
    text = printed(records.sample())
    assert line_of(text, "scenario").split() == ["scenario", "opportunistic", "strict", "committed"]
    assert re.search(r"parent-in-clear +● leak zone ○zone +● leak zone ○zone", text)
    assert re.search(r"all-links-secure +✔ safe +✔ safe", text)
    assert re.search(r"tls-blocked +● leak name ↓ +● leak name ↓ ≠", text)
    assert re.search(r"own-certificate +✖ hijack name ↓", text)
    assert re.search(r"forged-denial +\? inconclusive", text)
    assert re.search(r"unbound-minimises +- skipped", text)
    assert re.search(r"blocked-after-commitment +■ denial", text)
    sections = [line.strip() for line in text.splitlines() if line.strip() in ("basic", "ds-glue", "probing")]
    assert sections == ["basic", "ds-glue", "probing"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_only_commands_are_wider_than_the_terminal(width):
    for line in printed(records.many(40), width).splitlines():
        assert len(line) <= width or line.lstrip().startswith(("tshark ", "captures: "))


def test_policies_go_below_each_other_where_they_do_not_fit():
    text = printed(records.sample(), 60)
    assert line_of(text, "scenario").split() == ["scenario", "policy", "verdict"]
    assert re.search(r"tls-blocked +opportunistic +● leak name ↓ *\n +strict +● leak name ↓ ≠", text)


def test_the_closing_line():
    text = " ".join(printed(records.sample()).split())
    assert text.endswith(
        "12 runs: 9 as expected, 1 differs, 1 inconclusive, 1 skipped (unbound is not installed) "
        "in 4.0 s, 2.8 runs/s"
    )


def test_what_differs_names_the_packet_and_the_command():
    text = printed(records.sample())
    assert "≠ basic/tls-blocked[policy=strict]" in text
    assert "verdict: expected denial, got leak" in text
    assert "packet 6 on link target: name read in clear text: secret.example.org. A" in text
    path = "results/runs/basic/tls-blocked[policy=strict]/attack/target.pcapng"
    assert f"    {tshark(path, 6)}\n" in text
    assert "? svcb-query/forged-denial" in text
    assert "the attack never fired" in text
    assert "≠ ds-glue" not in text


def test_what_is_accepted_is_marked_and_not_explained():
    text = printed([records.unexpected(standing=Standing.SAME), records.safe()])
    assert "● leak name ↓ ≈" in text
    assert "≈ not as expected, but accepted" in text
    assert "≠" not in text
    assert "verdict: expected denial" not in text
    assert "2 runs: 1 as expected, 1 as accepted" in text


def test_what_is_worse_than_accepted_says_in_what():
    text = printed([records.safe(standing=Standing.WORSE, changes=("leak: accepted none, got name",))])
    assert "≠ basic/all-links-secure[policy=strict]" in text
    assert "leak: accepted none, got name" in text


def test_no_style_outside_a_terminal_or_with_no_color(monkeypatch):
    assert "\x1b" not in printed(records.sample())
    assert "\x1b[" in printed(records.sample(), tty=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(records.sample(), tty=True)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_signs_fall_back_to_ascii(encoding):
    text = printed(
        [*records.sample(), records.safe(title="例え", id="basic/例え", expected=False)], encoding=encoding
    )
    assert text.isascii()
    assert re.search(r"tls-blocked +\* leak name v +\* leak name v !=", text)
    assert r"basic/\u4f8b\u3048" in text


def test_hostile_text_neither_steers_the_terminal_nor_is_markup():
    text = printed([records.hostile()], 500)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\x1b[31m\u202eevil" in text
    assert "[bold red]x[/]" in text


def test_the_same_runs_print_the_same_whatever_the_order():
    runs = records.many(50)
    assert printed(runs) == printed(runs[::-1])


def test_no_runs():
    assert printed([]).strip() == "0 runs in 4.0 s"


def test_without_a_wall_clock_the_durations_are_added_up():
    assert "in 0.2 s, 12.0 runs/s" in printed([records.safe(), records.denial()], elapsed_s=None)


def test_progress_is_a_plain_line_for_each_run_outside_a_terminal():
    stream = Stream()
    with console.Progress(12, console.terminal(stream, 80)) as progress:
        for run in records.sample():
            progress.finished(run)
    lines = stream.text.splitlines()
    assert len(lines) == 12
    assert lines[5] == "[ 6/12] basic/tls-blocked[policy=strict]  ● leak name ↓ ≠  0.08 s"
    assert "skipped (unbound is not installed)" in lines[7]
    assert "\x1b" not in stream.text


def test_progress_on_a_terminal_is_redrawn_at_most_ten_times_a_second_and_disappears():
    ticks = iter(range(100000))
    stream = Stream(tty=True)
    clock = lambda: next(ticks) / 1000  # noqa: E731
    with console.Progress(80, console.terminal(stream, 80), clock) as progress:
        for run in records.many(80):
            progress.finished(run)
    text = stream.text
    assert 2 <= text.count("runs/s") < 20
    assert "80/80" in text
    assert "basic/tls-blocked[policy=strict]  " in text
    assert text.rstrip().endswith("\x1b[2K")


def test_progress_does_not_animate_a_dumb_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Stream(tty=True)
    with console.Progress(1, console.terminal(stream, 80)) as progress:
        progress.finished(records.safe())
    assert stream.text.startswith("[1/1] basic/all-links-secure")


def test_progress_starts_no_thread(monkeypatch):
    monkeypatch.setattr("threading.Thread.start", lambda thread: pytest.fail("a thread was started"))
    with console.Progress(1, console.terminal(Stream(tty=True), 80)) as progress:
        progress.finished(records.safe())


def test_a_console_of_standard_output(capsys):
    assert isinstance(console.terminal(), Console)
    console.report([records.safe()], console.terminal(width=80))
    assert "✔ safe" in capsys.readouterr().out
