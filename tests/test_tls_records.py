"""Records of application data are counted in sessions that nobody can read."""

from __future__ import annotations

import pytest

from testbed.core.tls_records import Data, Records

TLS13 = b"\x00\x2b\x00\x02\x03\x04"


def record(kind, content):
    return bytes((kind, 3, 3)) + len(content).to_bytes(2) + content


HELLO, DATA = record(22, b"\x01hello"), record(23, b"data")
SERVER_13, SERVER_12 = record(22, b"\x02hello" + TLS13), record(22, b"\x02hello")


def test_records_are_cut_wherever_the_stream_is():
    stream = HELLO + DATA
    for size in range(1, len(stream)):
        records = Records()
        found = [one for start in range(0, len(stream), size) for one in records.feed(stream[start:][:size])]
        assert found == [(22, b"\x01hello"), (23, b"data")]


@pytest.mark.parametrize(("server", "counted"), [(SERVER_13, [0, 1, 1]), (SERVER_12, [1, 1, 1])])
def test_the_finished_of_tls_13_is_no_data(server, counted):
    data = Data()
    assert data.from_client(HELLO) == 0
    data.from_server(server)
    assert [data.from_client(DATA) for _ in range(3)] == counted


def test_early_data_count():
    data = Data()
    assert data.from_client(HELLO + DATA) == 1
    data.from_server(SERVER_13)
    assert data.from_client(DATA) == 0
