"""Wireshark's dissectors, without its start-up for each capture."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

Node = dict[str, Any]

_DECODE_AS = "decode_as_entry: udp.port,853,(none),QUIC\n"  # RFC 9250 section 4.1.1; Wireshark thinks of DTLS


class Sharkd:
    """A running sharkd, which dissects captures one after the other, with the secrets that are in them."""

    def __enter__(self) -> Self:
        self._settings = TemporaryDirectory()
        Path(self._settings.name, "decode_as_entries").write_text(_DECODE_AS)
        self._process = subprocess.Popen(
            ["sharkd", "-"],
            env={**os.environ, "WIRESHARK_CONFIG_DIR": self._settings.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._settings.cleanup()

    def _call(self, method: str, **parameters: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        assert "result" in reply, f"{method} {parameters}: {reply}"
        return reply["result"]

    def dissected(self, capture: Path) -> dict[int, str]:
        """What is shown of each packet of a capture, in lower case, by packet number; no comments of ours."""
        self._call("load", file=str(capture))
        count = self._call("status")["frames"]
        return {number: "\n".join(_lines(self._frame(number))).lower() for number in range(1, count + 1)}

    def _frame(self, number: int) -> list[Node]:
        tree: list[Node] = self._call("frame", frame=number, proto=True)["tree"]
        return [node for node in tree if node["l"] != "Packet comments"]


def _lines(tree: list[Node]) -> Iterator[str]:
    for node in tree:
        if "l" in node:
            yield node["l"]
        yield from _lines(node.get("n", []))
