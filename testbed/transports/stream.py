"""A connected TCP socket on the event loop: bytes in, bytes out, and one word on how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from testbed.core.transport import Failure, TransportError
from testbed.transports import sockets

_CHUNK = 1 << 16

_LINGER = 1.0
_LINGER_OCTETS = 1 << 20
"""How long, in seconds, and how much is still read after this side has closed."""


class Owner(Protocol):
    """Who uses a stream. None of these is called after ``close`` or ``abort``."""

    def received(self, data: bytes) -> None:
        """Some bytes came in."""

    def ended(self, error: TransportError | None) -> None:
        """The peer will send no more: it closed its half in good order (None), or the stream is broken."""

    def drained(self) -> None:
        """All that had to wait is now on its way."""


class Stream:
    """Reads as it comes, writes at once what the kernel takes and keeps the rest.

    Direct calls on the socket rather than asyncio's transports: at these sizes they are most of the cost.
    """

    def __init__(self, sock: socket.socket, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._fd = sock.fileno()
        self._owner = owner
        self._unsent = bytearray()
        self._reading = False
        self._over = False
        self._finishing = False
        self._lingering: asyncio.TimerHandle | None = None
        self._discarded = 0
        self.closed = False
        """Whether this side has closed or aborted it."""
        self.resume()

    @property
    def unsent(self) -> int:
        """Octets that the kernel has not taken yet."""
        return len(self._unsent)

    def resume(self) -> None:
        """Read, as from the start."""
        if not (self._reading or self._over):
            self._loop.add_reader(self._fd, self._readable)
            self._reading = True

    def pause(self) -> None:
        """Leave what comes in to the kernel, which tells the peer to wait."""
        if self._reading:
            self._loop.remove_reader(self._fd)
            self._reading = False

    def write(self, data: bytes) -> None:
        """Send; what was sent to a stream that has ended is lost, as it would be on the way."""
        if self.closed or self._finishing or not data:
            return
        if not self._unsent:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                # Told later, so that nobody is called back from within a write.
                self._loop.call_soon(self._end, error)
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._fd, self._writable)
        self._unsent += data

    def finish(self) -> None:
        """Send FIN once all is on its way, and go on reading: the peer may have more to say."""
        if not (self.closed or self._finishing):
            self._finishing = True
            self._shut_when_sent()

    def _shut_when_sent(self) -> None:
        if self._finishing and not self._unsent:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close with FIN; what is unsent is dropped.

        What the peer has under way is read and dropped until it closes, too, for a short while: closing on
        unread data would send RST, which destroys what the peer has not read yet and looks like an attack.
        """
        if self.closed:
            return
        self._forget()
        try:
            if not self._over:
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._over = True
        if self._over:
            self._sock.close()
        else:
            self._lingering = self._loop.call_later(_LINGER, self._release)
            self._loop.add_reader(self._fd, self._discard)

    def abort(self) -> None:
        """Close with RST."""
        if not self.closed:
            self._forget()
            sockets.abort(self._sock)

    def release(self) -> socket.socket:
        """Let go of the socket, for somebody else to go on with it; nothing must be unsent."""
        assert not self._unsent
        self._forget()
        return self._sock

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._owner.received(data)
        else:
            self._end(None)

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._fd)
            self._shut_when_sent()
            self._owner.drained()

    def _end(self, error: OSError | None) -> None:
        if self.closed or (self._over and error is None):
            return
        self._over = True
        self.pause()
        if error is not None and self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._fd)
        self._owner.ended(None if error is None else sockets.failure(error, Failure.RESET))

    def _discard(self) -> None:
        try:
            count = len(self._sock.recv(_CHUNK))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        self._discarded += count
        if count == 0 or self._discarded > _LINGER_OCTETS:
            self._release()

    def _release(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._lingering is not None:
            self._lingering.cancel()
        self._sock.close()

    def _forget(self) -> None:
        self.closed = True
        self.pause()
        if self._unsent:
            self._loop.remove_writer(self._fd)
            self._unsent.clear()
