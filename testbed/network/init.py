"""The first process of a sandbox: it furnishes it, starts the worker, and ends everything.

Started by :func:`testbed.network.sandbox.launch` as ``init LIFELINE PATH... -- ARGUMENT...``. It waits for
the worker, reaps orphans, and watches the lifeline. It imports little: every worker waits for it.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import sys
from typing import NoReturn

from testbed.network import libc

VARIABLE = "ADOX_SANDBOX"
"""Environment variable that names a sandbox and the namespaces of the runner that made it."""

MARKER = "/run/adox-sandbox"
"""Written inside when the network namespace was found empty."""

PRIVATE = ("/tmp", "/run", "/dev/shm")  # noqa: S108 - these are hidden, not written to
"""Directories that a worker gets for itself, in memory."""

READY = b"+"
"""Sent over the lifeline when the sandbox stands."""

CANNOT = 3
"""Exit status when it cannot be furnished."""

FALLBACK_TUNNELS = frozenset(
    {"tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip_vti0", "ip6tnl0", "ip6gre0", "ip6_vti0"}
)
"""What tunnel modules put, unconnected, into every network namespace."""

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


class Unfit(Exception):  # noqa: N818 - it says what the process is
    """The process is not where the first process of a sandbox must be."""


def main(argv: list[str]) -> NoReturn:
    """Furnish the sandbox, run the worker to its end, and take its exit status."""
    separator = argv.index("--")
    lifeline = int(argv[0])
    os.set_inheritable(lifeline, False)
    try:
        if os.getpid() != 1:
            raise Unfit("not the first process of a PID namespace")
        libc.set_parent_death_signal(signal.SIGKILL)
        _check_empty()
        _hide_private_directories(argv[1:separator])
        _raise_loopback()
        with open(MARKER, "w", encoding="ascii") as marker:  # noqa: PTH123 - pathlib is slow to import
            marker.write(os.environ[VARIABLE])
        os.write(lifeline, READY)
    except (OSError, Unfit) as error:
        sys.stderr.write(f"adox: the sandbox cannot be furnished: {error}\n")
        os._exit(CANNOT)
    os._exit(_run([sys.executable, *argv[separator + 1 :]], lifeline))


def _check_empty() -> None:
    """Raise Unfit unless this network namespace is new."""
    found = {name for _, name in socket.if_nameindex()} - FALLBACK_TUNNELS - {"lo"}
    if found:
        raise Unfit(f"the network namespace is not empty: {', '.join(sorted(found))}")


def _hide_private_directories(kept: list[str]) -> None:
    """Put an empty file system on each private directory, and what must stay visible back into it."""
    sources = {path: os.open(path, os.O_PATH) for path in kept}
    here = os.getcwd()  # noqa: PTH109
    for top in PRIVATE:
        if os.path.isdir(top):  # noqa: PTH112
            libc.mount("tmpfs", top, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=1777")
    for path, descriptor in sources.items():
        source = f"/proc/self/fd/{descriptor}"
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        if os.path.isdir(source):  # noqa: PTH112
            os.mkdir(path)  # noqa: PTH102
        else:
            os.close(os.open(path, os.O_CREAT))
        libc.mount(source, path, None, libc.MS_BIND | libc.MS_REC)
        os.close(descriptor)
    os.chdir(here)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _run(command: list[str], lifeline: int) -> int:
    """Run the worker until it ends, or until the runner has gone. The exit status for this process."""
    # The death of a child wakes the poll below.
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    worker = os.fork()
    if worker == 0:
        try:
            os.execv(command[0], command)  # noqa: S606
        finally:
            os._exit(CANNOT)
    # The worker must hold the only ends of its pipes, so that the runner sees when it closes them.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.register(lifeline, 0)  # only that the other end was closed
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == lifeline:
                return 128 + signal.SIGKILL
            os.read(wake, 4096)
        while (ended := _reap()) is not None:
            if ended[0] == worker:
                code = os.waitstatus_to_exitcode(ended[1])
                return code if code >= 0 else 128 - code


def _reap() -> tuple[int, int] | None:
    """Process and wait status of a child that has ended, if there is one."""
    try:
        process, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (process, status) if process else None


if __name__ == "__main__":
    main(sys.argv[1:])
