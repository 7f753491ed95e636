"""The table of claims, as Markdown and for a terminal: what the document says, and what the packets say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from testbed.compare.reference import PACKET
from testbed.tables.claims import Evidence, Finished, Status, conditions, outcomes, tally


@dataclass(frozen=True)
class Words:
    """What scenario files say: titles by the id of the scenario, reasons by the id of the cell."""

    titles: Mapping[str, str] = field(default_factory=dict)
    whys: Mapping[str, str] = field(default_factory=dict)


def page(finished: Sequence[Finished], words: Words) -> str:
    """The page of documentation."""
    return "\n".join(_page(finished, words)) + "\n"


def _page(finished: Sequence[Finished], words: Words) -> Iterator[str]:
    yield _INTRODUCTION
    yield f"**{tally(finished)}.**"
    yield ""
    yield "| claim | what the document says | result | runs |"
    yield "| --- | --- | --- | --- |"
    for item in finished:
        claim = item.claim
        result = claim.later if claim.later and item.status is Status.NOT_RUN else item.status
        link = f"[{claim.number}](#claim-{claim.number})"
        text = f"{claim.setup} Attacker: {claim.attacker}. {claim.says}"
        yield f"| {link} | {text} | {result} | {counted(item)} |"
    for heading, members in groupby(finished, key=lambda item: item.claim.heading):
        yield f"\n## {heading}"
        for item in members:
            yield from _section(item, words)


def _section(item: Finished, words: Words) -> Iterator[str]:
    claim = item.claim
    yield f'\n### <a id="claim-{claim.number}"></a>Claim {claim.number}: {item.status}\n'
    yield f"- Setup: {claim.setup}"
    yield f"- Attacker: {claim.attacker}."
    yield f"- The document: {claim.says}"
    if claim.later and item.status is Status.NOT_RUN:
        yield f"- Comes later: {claim.later}."
    for finding in item.findings:
        yield f"- {'As claimed' if finding.holds else 'Otherwise'}: {finding.text}."
    for scenario, evidence in item.by_scenario().items():
        title = f": {words.titles[scenario]}" if scenario in words.titles else ""
        yield f"- `{scenario}`{title}."
        yield from (f"  - {line}" for line in lines(evidence, words.whys))
    yield from (f"- Came to nothing: `{id}`." for id in item.open)


def lines(evidence: Sequence[Evidence], whys: Mapping[str, str] | None = None) -> Iterator[str]:
    """What the runs of a scenario came to: as claimed or not, the outcome, the conditions, the packet.

    Of those that are not as claimed the reason is added, where ``whys`` has it.
    """
    for holds in (True, False):
        reasons = {} if holds else whys or {}
        for text, why, items in outcomes([item for item in evidence if item.holds is holds], reasons):
            where = conditions(items, evidence)
            claimed = "as claimed" if holds else "otherwise"
            seen = next((item.entry[PACKET] for item in items if PACKET in item.entry), "")
            packet = f"; {seen.partition(':')[0]}, packet {seen.partition(':')[2]}" if seen else ""
            yield f"{claimed}: {text}{f' ({where})' if where else ''}{packet}{f'. {why}' if why else ''}"


def counted(item: Finished) -> str:
    """How many of a claim's runs, and of what was measured for it, are as claimed: "3 of 5"."""
    return f"{sum(item.held)} of {len(item.held)}" if item.held else ""


def terminal(finished: Sequence[Finished]) -> Iterator[str]:
    """The same as lines of plain text."""
    for heading, members in groupby(finished, key=lambda item: item.claim.heading):
        yield heading
        for item in members:
            claim = item.claim
            later = f" ({claim.later})" if claim.later and item.status is Status.NOT_RUN else ""
            yield f"  {claim.number:2} {item.status:10} {counted(item):9} {claim.says}{later}"
            yield from (
                f"       {'as claimed' if one.holds else 'otherwise'}: {one.text}" for one in item.findings
            )
            for scenario, evidence in item.by_scenario().items():
                yield f"       {scenario}"
                yield from (f"         {line}" for line in lines(evidence))
            yield from (f"       came to nothing: {id}" for id in item.open)
    yield tally(finished)


def plain(finished: Sequence[Finished]) -> dict[str, object]:
    """The same for programs."""
    return {
        "schema": 1,
        "claims": [
            {
                **item.claim.model_dump(exclude={"measured"}),
                "status": str(item.status),
                "runs": [
                    {
                        "id": one.id,
                        "as_claimed": one.holds,
                        **{k: v for k, v in one.entry.items() if k != "claim"},
                    }
                    for one in item.evidence
                ],
                "findings": [{"text": one.text, "as_claimed": one.holds} for one in item.findings],
                "inconclusive": list(item.open),
            }
            for item in finished
        ],
    }


_INTRODUCTION = """\
# What the document claims, and what the packets say

This page is written by `adox accept` from [results/reference](../results/reference), the accepted results of
the scenarios; `adox claims scenarios` runs them anew. The document is a threat model of encryption between
recursive resolvers and authoritative servers, and its statements are given here in our words.

*Confirmed*: all runs came out as the document says. *Refined*: some did, under the conditions given.
*Refuted*: none did. Capture and packet are those to look at first in the evidence that `adox run` keeps of a
scenario; the conditions in parentheses are axes of its matrix.
"""
