"""A stream that says that it will send no more still reads, and loses nothing that it was given before."""

from __future__ import annotations

import asyncio
import socket

from testbed.transports.stream import Stream

MUCH = bytes(4 << 20)


class Owner:
    def __init__(self):
        self.octets, self.over = b"", asyncio.get_running_loop().create_future()

    def received(self, data):
        self.octets += data

    def ended(self, error):
        self.over.set_result(error)

    def drained(self):
        pass


def test_a_finished_stream_sends_what_waits_and_goes_on_reading():
    async def play():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        owner = Owner()
        stream = Stream(ours, owner)
        stream.write(MUCH)
        assert stream.unsent
        stream.finish()
        stream.write(b"too late")
        came = 0
        while data := await loop.sock_recv(theirs, 1 << 20):
            came += len(data)
        await loop.sock_sendall(theirs, b"an answer")
        theirs.close()
        assert await owner.over is None
        stream.close()
        return came, owner.octets

    assert asyncio.run(play()) == (len(MUCH), b"an answer")
