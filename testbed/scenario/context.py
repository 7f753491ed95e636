"""What a scenario file is validated against: where it is, and the topology that it names."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationInfo

from testbed import topology
from testbed.attack import catalogue
from testbed.topology import Topology

DEFAULT_TOPOLOGY = "hosted"


@dataclass(frozen=True)
class Context:
    """What a scenario is validated against. ``topology`` is None where the file names none that exists.

    ``folder`` is that of the file: engines are found relative to it, attackers in it and above it.
    """

    folder: Path = field(default_factory=Path.cwd)
    topology: Topology | None = field(default_factory=lambda: topology.load(DEFAULT_TOPOLOGY))

    @functools.cached_property
    def attacker_folders(self) -> tuple[Path, ...]:
        """Where further attackers are looked for."""
        return catalogue.folders_near(self.folder)


def context_of(info: ValidationInfo) -> Context:
    """The context of a validation; outside of files, the working directory and the default topology."""
    return info.context if isinstance(info.context, Context) else Context()
