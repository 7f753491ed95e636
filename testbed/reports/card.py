"""Report cards side by side, as Markdown, as text and as an HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence

from testbed.findings import visible
from testbed.grading.grade import Card, Grade

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


def _cell(one: Grade) -> str:
    return f"{SIGNS[one.finding.mark]} {visible(one.finding.text)}"


def markdown(cards: Sequence[Card]) -> str:
    """A table, and under it the evidence for each answer."""
    text = ["# Report card", "", f"Found out by experiment with `adox grade`. {LEGEND}.", ""]
    text.append(f"| question | {' | '.join(headings(cards))} |")
    text.append("|" + " --- |" * (len(cards) + 1))
    for asks, cells in lines(cards):
        text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (asks, *cells)) + " |")
    for (subject, grades), heading in zip(cards, headings(cards), strict=True):
        text += ["", f"## {heading}", "", f"Policy: `{subject.policy}`.", ""]
        for one in grades:
            text.append(f"- **{one.question.asks}** {_cell(one)}")
            text += [f"  - packet: `{place}`" for place in one.finding.packets]
            text += [f"  - reproduce: `adox run {path}`" for path in one.scenarios]
    return "\n".join(text) + "\n"


def page(cards: Sequence[Card]) -> str:
    """The same as an HTML page that needs nothing else."""
    rows = "".join(
        f"<tr><th>{html.escape(asks)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        for asks, cells in lines(cards)
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
    packets = "".join(f"<li>packet <code>{html.escape(place)}</code></li>" for place in one.finding.packets)
    files = "".join(f"<li><code>adox run {html.escape(str(path))}</code></li>" for path in one.scenarios)
    return f"<li>{html.escape(one.question.asks)} {html.escape(_cell(one))}<ul>{packets}{files}</ul></li>"
