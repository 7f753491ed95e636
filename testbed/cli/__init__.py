"""The command line. A command is one file here, with a function ``command``, and is found by being there."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status says."""

    AS_EXPECTED = 0
    DIFFERS = 1
    UNUSABLE_INPUT = 2
    CANNOT_RUN = 3
