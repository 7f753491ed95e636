"""Sandboxes: the namespaces in which everything runs that sends a packet.

A runner, outside, starts *workers*. A worker is a Python program with network, mount, PID, IPC and UTS
namespaces of its own (namespaces(7)) and, without root, a user namespace around them. All that it makes
(processes, interfaces, firewall rules, files in ``/tmp``) belongs to these namespaces and ends with them,
and they end with the runner, however it dies:

- the runner's death is signalled by the kernel to ``unshare`` and from there to the first process inside;
- that process (:mod:`testbed.network.init`) also watches a socket, the *lifeline*, whose other end only the
  runner holds, for the moments at which the kernel's signal is not armed yet;
- when the first process of a PID namespace ends, the kernel ends all others in it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testbed.network import libc
from testbed.network.init import MARKER, PRIVATE, READY, VARIABLE

NAMESPACES = ("net", "pid", "mnt")
SYSTEM_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")
CAP_SYS_ADMIN = 21


class SandboxError(Exception):
    """A sandbox could not be made."""


class NotInSandbox(SandboxError):  # noqa: N818 - it reads as what it says
    """Something that sends packets was started outside a sandbox."""


@dataclass
class Worker:
    """A program in a sandbox, seen from the runner.

    ``stdin`` and ``stdout`` are its pipes (None where ``launch`` was given something else). ``process`` is
    ``unshare``, whose exit status is the program's.
    """

    process: subprocess.Popen[bytes]
    lifeline: socket.socket

    @property
    def stdin(self) -> IO[bytes] | None:
        """The pipe to the worker's standard input."""
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe from the worker's standard output."""
        return self.process.stdout

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until the sandbox stands and the program is about to start; ``timeout`` is in seconds.

        Raises SandboxError when it could not be made; why was written to the worker's standard error.
        """
        self.lifeline.settimeout(timeout)
        try:
            ready = self.lifeline.recv(len(READY))
        except TimeoutError:
            ready = b""
        if ready != READY:
            self.kill()
            raise SandboxError("the sandbox could not be made; `adox doctor` says what is missing")

    def close(self, timeout: float = 10.0) -> int:
        """End the worker: close its standard input, give it some seconds, then kill it. Its exit status."""
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        return self.kill()

    def kill(self) -> int:
        """End the worker and everything in its sandbox at once. Its exit status."""
        self.process.kill()
        self.lifeline.close()
        status = self.process.wait()
        for pipe in (self.stdin, self.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return status

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()


def launch(
    argv: Sequence[str],
    *,
    visible: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    stdin: int | None = subprocess.PIPE,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = None,
) -> Worker:
    """Start ``python ARGV...`` in a new sandbox and return at once.

    ``visible`` are existing directories and files that the worker must see even where they lie in one of the
    directories that it gets for itself. ``env`` is added to the runner's environment. The worker ends when
    the *thread* that called this ends: call it from one that lives as long as the run.

    Raises SandboxError when ``unshare`` cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [
            *unshare_command(),
            *(sys.executable, "-m", "testbed.network.init", str(theirs.fileno())),
            *kept([*map(str, visible), *_own_paths(argv)]),
            *("--", *argv),
        ]
        try:
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment(env or {}),
                pass_fds=[theirs.fileno()],
                # A worker that talks to the terminal (a lab) belongs to its job; any other is ended by its
                # runner, not by the interrupt key.
                start_new_session=stdin is not None,
                preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509 - it makes two system calls, takes no lock
            )
        except OSError as error:
            ours.close()
            raise SandboxError(f"unshare cannot be started: {error.strerror}") from error
    return Worker(process, ours)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: the caller's, what makes a run repeatable, and the mark of the sandbox."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    names = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in NAMESPACES]
    return {
        **os.environ,
        "PYTHONHASHSEED": "0",
        # An import that is killed halfway must not leave a file next to the source.
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": "/tmp",  # noqa: S108 - the worker's own
        **extra,
        "PATH": os.pathsep.join([*path, *(folder for folder in SYSTEM_PATH if folder not in path)]),
        VARIABLE: " ".join([secrets.token_hex(8), *names]),
    }


def unshare_command() -> list[str]:
    """The command, without the program, that makes the namespaces."""
    command = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    return command if privileged() else [*command, "--map-root-user"]


def privileged() -> bool:
    """Whether namespaces can be made without a user namespace around them."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_ADMIN & 1)


def _dies_with(parent: int) -> Callable[[], None]:
    """What the child runs between fork and exec: it dies with the runner, and at once if that is dead."""

    def arm() -> None:
        libc.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arm


def _own_paths(argv: Sequence[str]) -> list[str]:
    """What Python itself needs to see: the interpreter, the places of modules and programs, a script."""
    paths = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.realpath(sys.executable), str(Path.cwd())]
    paths += [*sys.path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    paths += os.environ.get("PATH", "").split(os.pathsep)
    return [path for path in [*paths, *argv[:1]] if path.startswith("/")]


def kept(paths: Iterable[str]) -> list[str]:
    """Those of the paths that the worker's private directories would hide, each once, parents first.

    A private directory itself is never kept, or it would not be private.
    """
    found: list[str] = []
    for path in sorted({os.path.realpath(path) for path in paths}):
        hidden = any(path.startswith(f"{top}/") for top in PRIVATE)
        if hidden and Path(path).exists() and not any(path.startswith(f"{parent}/") for parent in found):
            found.append(path)
    return found


def inside() -> bool:
    """Whether the calling thread is in a sandbox that a runner made.

    The variable alone can be set by anybody; so this thread's namespaces must differ from those of the
    runner that it names, the first process of this PID namespace must be the one that this runner started,
    and that process must have found its network namespace empty.
    """
    mark = os.environ.get(VARIABLE, "")
    _, *outer = mark.split() or [""]
    if len(outer) != len(NAMESPACES):
        return False
    try:
        inner = [str(Path(f"/proc/thread-self/ns/{kind}").readlink()) for kind in NAMESPACES]
        variables = Path("/proc/1/environ").read_bytes().split(b"\0")
        marker = Path(MARKER).read_text()
    except OSError:
        return False
    fresh = all(ours != theirs for ours, theirs in zip(inner, outer, strict=True))
    return fresh and f"{VARIABLE}={mark}".encode() in variables and marker == mark


def require() -> None:
    """Refuse to go on outside a sandbox. Everything that opens a socket for a run calls this first.

    Raises NotInSandbox.
    """
    if not inside():
        raise NotInSandbox("refused: this sends packets, and runs only inside a sandbox of the testbed")


def take_control() -> tuple[int, int]:
    """Take over standard input and output as the control channel: descriptors to read and to write.

    Afterwards nothing else in this process or its children can read or write it: standard input is
    empty, and what is printed goes to standard error. Neither descriptor is inherited.
    """
    reader, writer = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return reader, writer
