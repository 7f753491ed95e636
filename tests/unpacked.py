"""Programs of this machine with their libraries, laid out as if packages had been unpacked."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = "usr/lib/some-linux-gnu"


def unpack(programs: Sequence[str], root: Path) -> None:
    """Copy programs, named by their paths, and all that the dynamic loader loads for them."""
    for place in ("usr/bin", LIBRARIES):
        (root / place).mkdir(parents=True)
    for program in programs:
        shutil.copy(program, root / "usr/bin")
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in map(Path, re.findall(r"(/\S+) \(0x", linked)):
            shutil.copy(path, root / LIBRARIES)
            if path.name == "libc.so.6":  # a part of the C library that is loaded by name
                shutil.copy(path.with_name("libc_malloc_debug.so.0"), root / LIBRARIES)
