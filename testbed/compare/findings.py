"""What is to be read off a record: the worst that was exposed, and the packet that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from testbed.record import SECRETS, Crossing, Exposure, Outcome, Run, Secret, Verdict

HOW = {
    "clear": "read in clear text",
    "terminated": "read in a session that the attacker terminates",
    "served": "sent to a server that the attacker runs",
    "sni": "read from the server name of a TLS handshake",
    "address": "inferred from a server's address",
}
"""What the values of ``Exposure.how`` mean, as the end of a sentence about the secret."""

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""The text on one line, with nothing in it that is not what it seems.

    Names come from packets and titles from files. Characters that steer a terminal, reverse the direction
    of writing (Unicode TR 36), hide, or may not stand in XML 1.0 are written out (``\u202e``).
    """
    return _UNPRINTABLE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return " " if character in "\t\n\r" else character.encode("unicode_escape").decode("ascii")


def worst_secret(exposures: Iterable[Exposure]) -> Secret:
    """The most that some exposures give away."""
    return max((exposure.secret for exposure in exposures), key=SECRETS.index, default="none")


def at_rest(outcome: Outcome) -> Secret:
    """The most that is exposed without the attack, too."""
    return worst_secret(exposure for exposure in outcome.exposures if exposure.at_rest)


@dataclass(frozen=True, slots=True)
class Decisive:
    """The packet to look at first: where it is, and what it shows. ``capture`` is None if none is named."""

    link: str
    packet: int
    capture: str | None
    text: str


def decisive(run: Run) -> Decisive | None:
    """The packet that decided a run, if one did: the worst thing the attack exposed, or else did."""
    exposures = sorted(run.exposures, key=lambda found: (found.at_rest, -SECRETS.index(found.secret)))
    altered = (crossing for crossing in run.ladder if crossing.altered)
    by_deed = [_of_crossing(run, crossing) for crossing in islice(altered, 1)]
    by_sight = [_of_exposure(found) for found in exposures[:1]]
    if run.verdict in (Verdict.HIJACK, Verdict.DOWNGRADE, Verdict.DENIAL):
        return next(iter(by_deed + by_sight), None)
    return next(iter(by_sight + by_deed), None)


def _of_exposure(exposure: Exposure) -> Decisive:
    rest = ", without the attack too" if exposure.at_rest else ""
    text = f"{exposure.secret} {HOW[exposure.how]}{rest}: {exposure.text}"
    return Decisive(exposure.link, exposure.packet, exposure.capture, text)


def _of_crossing(run: Run, crossing: Crossing) -> Decisive:
    """A crossing does not name its capture; an exposure on the same link may."""
    capture = next((found.capture for found in run.exposures if found.link == crossing.link), None)
    return Decisive(crossing.link, crossing.packet, capture, f"the attacker's doing: {crossing.text}")
