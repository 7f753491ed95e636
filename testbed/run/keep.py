"""Keeps evidence: a capture per link, TLS secrets inside, and the record of the run beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testbed.evidence import PhaseEvidence
from testbed.network import pcapng
from testbed.record import Run
from testbed.world.epoch import EPOCH

RECORD = "run.json"


class Keeper:
    """Writes evidence into folders below one; runs are named relative to the caller's working directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, evidence: PhaseEvidence, comments: Mapping[str, Mapping[int, str]]) -> str:
        """Write the captures of a phase, and return the folder that they are in."""
        folder = self._folder / _as_path(name)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [secret.line for secret in evidence.secrets]
        for link, capture in evidence.captures.items():
            if capture.frames:
                pcapng.write(
                    folder / f"{link}.pcapng",
                    capture,
                    epoch=EPOCH,
                    secrets=lines,
                    comments=comments.get(link, {}),
                )
        return str(folder)

    def record(self, run: Run) -> None:
        """Write the record of a run beside its captures."""
        folder = self._folder / _as_path(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        pcapng.write_whole(folder / RECORD, run.model_dump_json(indent=1).encode())


def _as_path(name: str) -> Path:
    """A scenario's id as a path: sections are folders, brackets become part of the name."""
    return Path(name.replace("[", "@").replace("]", "").replace("*", "_"))
