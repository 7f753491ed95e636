"""Report cards side by side, as Markdown, as text and as an HTML page."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

from testbed.compare.findings import visible
from testbed.grading.grade import Card, Grade
from testbed.grading.speed import speed
from testbed.grading.subject import Subject

SIGNS = {"good": "+", "weak": "~", "bad": "-", "open": "?"}
LEGEND = "+ as a careful resolver does, ~ in part, - not, ? not to be found out"


def headings(cards: Sequence[Card]) -> list[str]:
    """The resolvers, with their versions."""
    return [" ".join(filter(None, (subject.title, subject.version))) for subject, _ in cards]


def lines(cards: Sequence[Card]) -> list[tuple[str, list[str]]]:
    """The questions, and what was found about each resolver."""
    rows = []
    for grades in zip(*(grades for _, grades in cards), strict=True):
        rows.append((grades[0].question.asks, [_cell(one) for one in grades]))
    return rows


SPEED = "How fast is it here? (medians)"


def speeds(cards: Sequence[Card]) -> list[str]:
    """How fast the resolvers were, in words."""
    return [speed(grades).text for _, grades in cards]


def _cell(one: Grade) -> str:
    return f"{SIGNS[one.finding.mark]} {visible(one.finding.text)}"


def markdown(cards: Sequence[Card]) -> str:
    """A table, and under it the evidence for each answer."""
    text = ["# Report card", "", f"Found out by experiment with `adox grade`. {LEGEND}.", ""]
    text.append(f"| question | {' | '.join(headings(cards))} |")
    text.append("|" + " --- |" * (len(cards) + 1))
    for asks, cells in [*lines(cards), (SPEED, speeds(cards))]:
        text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (asks, *cells)) + " |")
    for (subject, grades), heading in zip(cards, headings(cards), strict=True):
        text += ["", f"## {heading}", "", f"Policy: `{subject.policy}`.", ""]
        for one in grades:
            text.append(f"- **{one.question.asks}** {_cell(one)}")
            text += [f"  - packet: {visible(shown.text)} (`{shown.place}`)" for shown in one.finding.packets]
            text += [f"  - reproduce: `adox run {path}`" for path in one.scenarios]
    return "\n".join(text) + "\n"


VARIES = "? varies from run to run"


def accepted(subject: Subject, grades: Sequence[Grade], varying: Collection[str] = ()) -> str:
    """A card without what differs from one run to the next: no times, no numbers of packets.

    Of questions whose names are in ``varying`` it says no more than that.
    """
    heading = " ".join(filter(None, (subject.title, subject.version)))
    text = [
        f"# {heading}",
        "",
        "Made by `adox accept cards`. " + LEGEND + ".",
        "",
        f"Policy: `{subject.policy}`.",
    ]
    for one in grades:
        varies = one.question.name in varying
        text += ["", f"## {one.question.asks}", "", VARIES if varies else _cell(one)]
        packets = () if varies else one.finding.packets
        shown = [f"- packet on link {visible(packet.text)}" for packet in packets]
        # What comes before them is the engine, the same in all of a card's ids.
        ids = sorted(run.id.partition("/")[2].partition("/")[2] for run in one.runs.values())
        text += ["", *shown, *(f"- scenario `{id}`" for id in ids)] if shown or ids else []
    return "\n".join(text) + "\n"


def page(cards: Sequence[Card]) -> str:
    """The same as an HTML page that needs nothing else."""
    rows = "".join(
        f"<tr><th>{html.escape(asks)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        for asks, cells in [*lines(cards), (SPEED, speeds(cards))]
    )
    heads = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings(cards))
    details = "".join(
        f"<h2>{html.escape(heading)}</h2><ul>{''.join(_item(one) for one in grades)}</ul>"
        for (_, grades), heading in zip(cards, headings(cards), strict=True)
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Report card</title>"
        "<style>body{font:16px sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{border:1px solid #999;padding:.4em;text-align:left;vertical-align:top}</style>"
        f"<h1>Report card</h1><p>{html.escape(LEGEND)}</p>"
        f"<table><tr><th>question</th>{heads}</tr>{rows}</table>{details}</html>\n"
    )


def _item(one: Grade) -> str:
    packets = "".join(
        f"<li>packet: {html.escape(visible(shown.text))} <code>{html.escape(shown.place)}</code></li>"
        for shown in one.finding.packets
    )
    files = "".join(f"<li><code>adox run {html.escape(str(path))}</code></li>" for path in one.scenarios)
    return f"<li>{html.escape(one.question.asks)} {html.escape(_cell(one))}<ul>{packets}{files}</ul></li>"
