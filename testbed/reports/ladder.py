"""The ladder diagram of a run: what crossed which link, in which order, and what the attacker saw, as SVG.

The drawing uses classes only; colours, and the symbols ``lock``, ``bolt`` and ``eye``, are the page's.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from testbed.compare.findings import visible
from testbed.record import Crossing, Run
from testbed.topology import CA, CLIENT, EVIL, RESOLVER

COLUMN = 136
"""From one lifeline to the next, in pixels; so are all lengths here."""
ROW = 27
OWN_SERVER = "attacker's server"
_LEFT = 112
_RIGHT = 96
_LEAST_WIDTH = 780
_HEADER = 62
_STEP_GAP = 30
_BOX = (104, 24)
_CHARACTER = 5.9
"""The mean width of a character of a message's text."""
_REPEAT_NAMES = 24
"""A ladder with more rows than this bears its names at the foot, too."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """A drawing, and the kinds of marks in it, for the legend below it."""

    svg: str
    marks: frozenset[str]


def draw(run: Run) -> Ladder | None:
    """The ladder of a run; None if nothing crossed any link."""
    return _Drawing(run).ladder() if run.ladder else None


class _Drawing:
    """Places lifelines from left to right and crossings from top to bottom."""

    def __init__(self, run: Run) -> None:
        self.run = run
        used = {crossing.link for crossing in run.ladder}
        order = dict.fromkeys((*run.links, *(crossing.link for crossing in run.ladder)))
        links = [link for link in order if link in used and link != CLIENT]
        self.positions = {
            name: _LEFT + index * COLUMN for index, name in enumerate((CLIENT, RESOLVER, *links))
        }
        self.attacked = [name for name in self.positions if name in run.attacked_links]
        self.own = {found.link for found in run.exposures if found.how == "served"}
        servers = COLUMN if CA in self.positions else 0
        self.width = max(max(self.positions.values()) + servers + _RIGHT, _LEAST_WIDTH)
        self.marks: set[str] = set()

    def ladder(self) -> Ladder:
        rows: list[str] = []
        height = _HEADER
        first = self.run.ladder[0]
        several = any(crossing.step != first.step for crossing in self.run.ladder)
        start, previous, clock = first.time, None, ""
        for crossing in self.run.ladder:
            if several and (previous is None or previous.step != crossing.step):
                height += _STEP_GAP if previous else 6
                rows.append(self._separator(crossing, previous, height))
                start, clock = crossing.time, ""
            height += ROW
            before, clock = clock, _duration(crossing.time - start)
            rows.append(self._row(crossing, height, "" if clock == before else clock))
            previous = crossing
        foot = height + 22
        names = self._names(_HEADER - _BOX[1] - 8)
        if len(self.run.ladder) > _REPEAT_NAMES:
            names += self._names(foot)
            height = foot + _BOX[1]
        else:
            height = foot
        names_said = visible(", ".join(self.positions))
        label = escape(f"Ladder diagram: {len(self.run.ladder)} messages between {names_said}")
        svg = (
            f'<svg class="ladder" viewBox="0 0 {self.width} {height + 4}" width="{self.width}" '
            f'height="{height + 4}" role="img" aria-label="{label}">'
            f"{self._lifelines(_HEADER - 8, foot)}{''.join(rows)}{names}{self._attackers()}</svg>"
        )
        return Ladder(svg, frozenset(self.marks))

    # -- what stands still ---------------------------------------------------------------------------

    def _lifelines(self, top: int, foot: int) -> str:
        lines = "".join(f"M{x} {top}V{foot}" for name, x in self.positions.items() if name not in self.own)
        own = "".join(f"M{x} {top}V{foot}" for name, x in self.positions.items() if name in self.own)
        watched = "".join(f"M{self._tap(name)} {top}V{foot}" for name in self.attacked)
        return f'<path class="life" d="{lines}"/>' + "".join(
            f'<path class="{kind}" d="{path}"/>'
            for kind, path in (("life own", own), ("tap", watched))
            if path
        )

    def _names(self, y: int) -> str:
        width, height = _BOX
        parts = []
        for name, x in self.positions.items():
            kind = "own" if name in self.own else "end" if name in (CLIENT, RESOLVER) else "far"
            box = f'x="{x - width // 2}" y="{y}" width="{width}" height="{height}"'
            text = f'<text x="{x}" y="{y + 16}">{_fit(name, 17)}</text>'
            parts.append(f'<g class="role {kind}"><rect {box} rx="5"/>{text}</g>')
        return "".join(parts)

    def _attackers(self) -> str:
        """A symbol on each attacked link, with the attackers' names above it.

        Those that are off-path are named above the attacker's own host, from which they send.
        """
        y = _HEADER - 8 - _BOX[1] // 2
        parts = []
        for link in self.attacked:
            self.marks.add("attacker")
            names = ", ".join(line.attacker for line in self.run.attackers if line.link == link) or "attacker"
            between = "the CA and the servers" if link == CA else f"the resolver and {link}"
            title = escape(visible(f"{names} on the link between {between}"))
            parts.append(
                f'<g class="attacker"><title>{title}</title><use href="#eye" x="{self._tap(link) - 10}" '
                f'y="{y - 10}" width="20" height="20"/>'
                f'<text x="{self._tap(link)}" y="14">{_fit(names, 24)}</text></g>'
            )
        off_path = ", ".join(line.attacker for line in self.run.attackers if not line.link)
        hosts = self.own | {EVIL} if off_path else self.own
        for link in sorted(hosts & set(self.positions) - set(self.attacked)):
            said = off_path if link == EVIL and off_path else OWN_SERVER
            x = self.positions[link]
            parts.append(f'<g class="attacker"><text x="{x}" y="14">{_fit(said, 24)}</text></g>')
        return "".join(parts)

    def _tap(self, link: str) -> int:
        """Where the attacker of a link sits: just before its far end."""
        aside = COLUMN // 2
        return self.positions[link] + (aside if link in (CLIENT, CA) else -aside)

    def _ends(self, link: str) -> tuple[int, int]:
        """Where the near and the far end of a link are. That of a CA leads from it to all servers."""
        if link == CA:
            return self.positions[CA], self.positions[CA] + COLUMN
        return self.positions[RESOLVER], self.positions[link]

    # -- what happens --------------------------------------------------------------------------------

    def _separator(self, crossing: Crossing, previous: Crossing | None, y: int) -> str:
        gap = crossing.time - previous.time if previous else 0.0
        later = f": +{_duration(gap)}" if gap >= 1 else ""
        return (
            f'<g class="step"><path d="M0 {y}H{self.width}"/>'
            f'<text x="0" y="{y - 6}">step {crossing.step + 1}{later}</text></g>'
        )

    def _row(self, crossing: Crossing, y: int, clock: str) -> str:
        near, far = self._ends(crossing.link)
        ends = (near, far) if crossing.towards == "far" else (far, near)
        towards = 1 if ends[1] > ends[0] else -1
        left = min(ends)
        self.marks.add(crossing.protection)
        seen = "" if crossing.seen == "none" else f" {crossing.seen}"
        room = int((self.width - left - 60) / _CHARACTER)
        title = escape(self._details(crossing))
        parts = [
            f'<g class="x{seen}" transform="translate(0 {y})"><title>{title}</title>'
            f'<rect y="-20" width="{self.width}" height="{ROW}"/>'
        ]
        if clock:
            parts.append(f'<text class="at" x="46" y="3">{clock}</text>')
        parts.append(
            f'<text x="{left + 10}" y="-9">{_fit(crossing.text, room)}'
            f'<tspan class="over" dx="6">{_fit(crossing.transport, 8)}</tspan></text>'
            f'<path class="{crossing.protection}" d="M{ends[0] + 2 * towards} 0H{ends[1] - 5 * towards}"/>'
        )
        if crossing.protection == "secure":
            parts.append(f'<use href="#lock" x="{left + 20}" y="-6" width="11" height="12"/>')
        parts.append(self._mark(crossing))
        parts.append("</g>")
        return "".join(parts)

    def _mark(self, crossing: Crossing) -> str:
        """What the attacker read of a message, or did to it, where it passed the attacker."""
        if crossing.seen == "none" and not crossing.altered:
            return ""
        x = self._tap(crossing.link) if crossing.link in self.attacked else self.positions[crossing.link]
        bolt = '<use href="#bolt" x="-6" y="-7" width="12" height="14"/>'
        if crossing.altered:
            self.marks.add("altered")
        if crossing.seen == "none":
            return f'<g class="mark" transform="translate({x} 0)"><circle r="9"/>{bolt}</g>'
        self.marks.add(crossing.seen)
        aside = f'<g transform="translate(29 0)"><circle r="9"/>{bolt}</g>' if crossing.altered else ""
        pill = f'<rect x="-19" y="-7" width="38" height="14" rx="7"/><text y="3.5">{crossing.seen}</text>'
        return f'<g class="mark" transform="translate({x} 0)">{pill}{aside}</g>'

    def _details(self, crossing: Crossing) -> str:
        way = "to" if (crossing.towards == "far") != (crossing.link == CA) else "from"
        parts = [
            crossing.text,
            f"{way} {crossing.link} over {crossing.transport}, {crossing.protection}",
            f"packet {crossing.packet} of the capture of link {crossing.link}",
        ]
        if crossing.seen != "none":
            parts.append(f"the attacker learned the {crossing.seen}")
        if crossing.altered:
            parts.append("made, changed or swallowed by the attacker")
        return "; ".join(map(visible, parts))


def _fit(text: str, room: int) -> str:
    """The text, escaped, cut off where there is no more room."""
    shown = visible(text)
    return escape(shown if len(shown) <= room else shown[: max(room - 1, 0)] + "…")


def _duration(seconds: float) -> str:
    """A time span in its largest whole unit or two digits of a second: "12 ms", "1.5 s", "90 min", "30 d"."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if (seconds >= length and seconds % length < 1) or seconds >= 10 * length:
            return f"{seconds / length:.0f} {unit}"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "0"
