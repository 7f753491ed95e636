"""The mechanisms that the matrix and the table of costs compare: each signal, with what it takes to be used.

A signal that is added to ``testbed/signals/`` is compared without anything being said here. Entries are
needed for those that are no use alone: a promise is heard only by a resolver that encrypts already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed import signals

EVERY = ("root", "target-parent", "ns-parent", "ns-zone", "target")
"""The roles of the topology ``hosted`` whose links are attacked, from the root down."""


@dataclass(frozen=True)
class Mechanism:
    """A way for resolvers to learn of encryption.

    ``signals`` are published and followed. ``policy`` holds switches over the named policy. ``secure`` are
    the roles that encrypt where not all do. ``learns`` says that the resolver learns from earlier contact,
    so that it makes a difference whether there was one before an attacker came.
    """

    name: str
    signals: tuple[str, ...]
    policy: Mapping[str, Any] = field(default_factory=dict)
    secure: tuple[str, ...] = ("target",)
    learns: bool = False


_GUIDED = "ds-glue"
"""What tells of the target's encryption where a mechanism is about the root only."""

_SPECIAL = (
    Mechanism("probing", ("probing",), learns=True),
    Mechanism("oots", ("oots",), learns=True),
    Mechanism("commitment", ("commitment", "probing"), learns=True),
    Mechanism("root-mirror", ("root-mirror", _GUIDED), {"mirror": "require"}),
    Mechanism("preconfigured", ("preconfigured", _GUIDED), secure=("root", "target")),
)


def all_of_them() -> Iterator[Mechanism]:
    """Every mechanism, in the order of names."""
    special = {mechanism.name: mechanism for mechanism in _SPECIAL}
    for name in signals.names():
        yield special.get(name) or Mechanism(name, (name,))
