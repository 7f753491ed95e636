"""What is graded: an engine under the policy that makes the most of its encryption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testbed.core.resolver.state import PRECONFIGURED
from testbed.engines import catalogue
from testbed.engines.description import Description
from testbed.scenario.engine import REFERENCE

PUBLISHED = (
    "ds-glue",
    "svcb-query",
    "tlsa-query",
    "svcb-glue",
    "svcb-at-target-parent",
    "deleg",
    "child-signal",
)
"""Signals that operators publish in zones and that stand for themselves."""

_STRONGEST = ("strict", "relaxed", "off")


@dataclass(frozen=True)
class Subject:
    """An engine, the policy that it is graded under, and the role of the server that may encrypt.

    ``mirror`` is the most careful way in which it keeps a copy of the root zone, empty if it keeps none.
    ``signals`` are the published ones that it is said to know, ``unasked`` is the policy under which it is
    told of none; None if there is no such policy.
    """

    engine: str
    title: str
    version: str
    policy: dict[str, Any]
    role: str
    time_travel: bool
    mirror: str = ""
    signals: tuple[str, ...] = ()
    unasked: dict[str, Any] | None = None

    def ask(self, number: int) -> dict[str, str]:
        """A step with a question that no cache answers, and that goes to the server."""
        name = f"n{number}.example.org" if self.role == "target" else f"www.n{number}"
        return {"query": f"{name} A"}

    def at_target(self, number: int) -> dict[str, str]:
        """The same, of the target's server."""
        return {"query": f"n{number}.example.org A"}


def subject(engine: str) -> Subject:
    """The subject for an engine, named as in scenarios. Raises ScenarioError for a bad description."""
    if engine == REFERENCE:
        probing = {"base": "opportunistic", "signals": ["probing"]}
        return Subject(engine, "reference resolver", "", probing, "target", True, "require", PUBLISHED)
    found = catalogue.load(engine)
    described = found.description
    kinds = [kind for kind in described.follows if kind.get("encryption", ("opportunistic",))[0] != "never"]
    kind = (kinds or list(described.follows))[0]
    signals = [name for name in kind.get("signals", ()) if name != PRECONFIGURED]
    policy: dict[str, Any] = {"base": "opportunistic"}
    policy |= {name: kind[name][0] for name in ("encryption", "authentication") if name in kind}
    policy |= {"signals": signals or ["none"], "minimisation": _minimisation(kind.get("minimisation", ()))}
    role = "root" if PRECONFIGURED in kind.get("signals", ()) else "target"
    return Subject(
        engine,
        described.title,
        catalogue.version(found) or "",
        policy,
        role,
        described.time_travel != "none",
        _mirror(described),
        tuple(
            name for name in PUBLISHED if any(name in kind.get("signals", ()) for kind in described.follows)
        ),
        _unasked(described),
    )


def _unasked(described: Description) -> dict[str, Any] | None:
    if any("never" in kind.get("encryption", ()) for kind in described.follows):
        return {"encryption": "never", "signals": ["none"], "preconfigured_root": False}
    return None


def _minimisation(known: tuple[Any, ...]) -> str:
    return next((word for word in _STRONGEST if word in known), "relaxed")


def _mirror(described: Description) -> str:
    known = {value for kind in described.follows for value in kind.get("mirror", ())}
    return next((word for word in ("require", "verify", "ignore") if word in known), "")
