"""The few system calls that Python does not wrap, or not in every version that we support."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_NOSUID = 0x2
MS_NODEV = 0x4

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace of a descriptor (setns(2)).

    Raises OSError when the kernel refuses.
    """
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount something (mount(2)). Raises OSError when the kernel refuses."""
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else os.fsencode(options)
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), data), f"mount {target}")


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send the calling process a signal when the *thread* that started it ends (prctl(2)).

    The caller must look afterwards whether its parent is still there: it may have died before.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0), "prctl")


def current_cpu() -> int:
    """The number of the CPU that the calling thread runs on (sched_getcpu(3))."""
    return int(_libc.sched_getcpu())
