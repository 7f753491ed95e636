"""The record of a run: what every report is made from, and what ``--json`` prints.

A record is written once, by the verdict; reports only lay it out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Verdict(StrEnum):
    """The headline of a run, worst first; the last three say nothing about how safe the resolver is."""

    HIJACK = "hijack"
    LEAK = "leak"
    DOWNGRADE = "downgrade"
    DENIAL = "denial"
    SAFE = "safe"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not-applicable"


class Standing(StrEnum):
    """How a run stands to the result that its resolver's authors have accepted."""

    SAME = "as accepted"
    BETTER = "better than accepted"
    WORSE = "worse than accepted"
    LOST = "no longer run"


Secret = Literal["none", "zone", "name"]
"""What an attacker may learn: nothing, the sensitive zone, or the whole sensitive name."""

SECRETS: tuple[Secret, ...] = ("none", "zone", "name")
"""Least first."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Exposure(_Model):
    """One packet in which the attacker can read a secret.

    ``how``: "clear" (read in passing), "terminated" (in a session that the attacker terminates), "served"
    (sent to a server that it runs), "sni" or "address" (inferred from a handshake or an address).
    ``at_rest``: the same was exposed without the attack. ``packet`` is its number in the capture file.
    """

    link: str
    secret: Secret
    how: Literal["clear", "terminated", "served", "sni", "address"]
    capture: str
    packet: int
    step: int
    at_rest: bool
    text: str


class Counts(_Model):
    """What the answers cost at the resolver, summed over all links but the client's."""

    queries: int = 0
    packets: int = 0
    bytes: int = 0
    round_trips: int = 0
    handshakes: int = 0


class Outcome(_Model):
    """What one phase came to: the baseline, or the run under attack."""

    verdict: Verdict
    leak: Secret = "none"
    downgrade: bool = False
    hijack: bool = False
    denial: bool = False
    detected: bool = False
    fired: bool = False
    acted: int = 0
    """How many messages and connections the attackers interfered with."""
    injected: int = 0
    """How many packets and messages the attackers made up and sent: what the attack cost them."""
    encrypting_share: int | None = None
    """Per cent of queries that went to servers that encrypt, where only some servers of a zone do."""
    changed_rrsets: int | None = None
    """How many RRsets operators had to change for the rollout of encryption that a scenario is about."""
    changed_zones: int | None = None
    """In how many zones these are."""
    exposures: tuple[Exposure, ...] = ()
    counts: Counts = Counts()
    answer: tuple[str, ...] = ()
    """One text per query: "NOERROR secret.example.org. A 192.0.2.80", "SERVFAIL (EDE 22)", "no answer"."""
    reason: str = ""
    """Why the phase is inconclusive, or why the run did not take place."""
    evidence: str | None = None
    """The folder that the captures are in."""


class Crossing(_Model):
    """A DNS message or a handshake on a link, for ladder diagrams.

    ``towards`` says which way it went. ``seen`` is what the attacker learned from it; ``altered`` that
    it was made, changed or swallowed by the attacker.
    """

    step: int
    time: float
    link: str
    towards: Literal["resolver", "far"]
    transport: str
    protection: Literal["clear", "encrypted", "secure"]
    text: str
    packet: int
    seen: Secret = "none"
    altered: bool = False


class TraceLine(_Model):
    """A decision of the resolver, as it reported it."""

    step: int
    time: float
    kind: str
    text: str


class Spent(_Model):
    """What an attack took: packets and messages that were made up, and that were changed; connections held.

    A connection is held that the attacker sits in the middle of. ``presence_s`` are the seconds of the
    world's time in which it was there and had not yet had enough.
    """

    injected: int = 0
    altered: int = 0
    held: int = 0
    presence_s: float = 0.0


class AttackLine(_Model):
    """What one attacker counted, and what that took. ``link`` is empty for one that is off-path."""

    attacker: str
    link: str
    matched: int
    acted: int
    actions: dict[str, int] = {}
    spent: Spent = Spent()


NOT_RUN = (Verdict.SKIPPED, Verdict.NOT_APPLICABLE)
"""Verdicts on what was not run."""


class Run(Outcome):
    """A scenario (or a cell of its matrix) that was run, its baseline, and whether it was as expected."""

    id: str
    scenario: str
    title: str
    engine: str
    servers: dict[str, str] = {}
    """Programs that play servers, by role."""
    policy: str
    cell: dict[str, Any] = {}
    claim: int | None = None
    file: str = ""
    """The scenario file: relative to the working directory, where it is below that."""
    line: int = 0
    """Where in the file it is said what is expected; 0 is nowhere."""
    says: str = ""
    why: str = ""
    expected: bool | None = None
    mismatches: tuple[str, ...] = ()
    """How the outcome differs from the expectation, one text per field: "leak: expected none, got name"."""
    standing: Standing | None = None
    """None where nothing is accepted of this run, or nothing is known of it now."""
    changes: tuple[str, ...] = ()
    """How the outcome differs from the accepted one, one text per field: "leak: accepted none, got name"."""
    as_claimed: bool | None = None
    """Whether it came out as the document says that the claim comes from; None where there is no claim, or
    no outcome."""
    baseline: Outcome | None = None
    attackers: tuple[AttackLine, ...] = ()
    ladder: tuple[Crossing, ...] = ()
    trace: tuple[TraceLine, ...] = ()
    links: tuple[str, ...] = ()
    attacked_links: tuple[str, ...] = ()
    seed: int = 0
    duration_s: float = 0.0


class Report(_Model):
    """What ``adox run --json`` prints."""

    schema_version: int = Field(default=1, alias="schema", serialization_alias="schema")
    shard: str | None = None
    """Which part of the whole this is, where several runners share the work: "2/3"."""
    runs: tuple[Run, ...]

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
