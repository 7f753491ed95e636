"""What our servers say in every kind of world, and every option that we write, as Wireshark reads it."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import pytest
from example_zones import name, rrset
from worlds import world

from testbed import signals
from testbed.core import deleg, message, rdata
from testbed.core.transport import Transport
from testbed.signals import commitment
from testbed.topology import EVIL

EVERYWHERE = ("root", "target-parent", "ns-parent", "ns-zone", "target")
FIELDS = (
    *("dns.id", "dns.flags.rcode", "dns.resp.type", "dns.resp.ttl", "dns.opt.code"),
    *("dns.ds.key_id", "dns.ds.algorithm", "dns.ds.digest_type", "dns.ds.digest"),
    *("dns.tlsa.certificate_usage", "dns.tlsa.certificate_association_data"),
    *("dns.svcb.svcpriority", "dns.svcb.targetname", "dns.svcb.svcparam.alpn", "dns.svcb.svcparam.port"),
    *("dns.svcb.svcparam.ipv4hint.ip", "dns.opt.ext_error.info_code", "dns.opt.ext_error.extra_text"),
    *("dns.opt.edns_tcp_keepalive.timeout", "_ws.malformed"),
)
IPV4 = 228
"""The link type of captures whose frames begin with an IPv4 header."""


def read(wires: Iterable[bytes], folder: Path) -> list[dict[str, list[str]]]:
    """What Wireshark's dissector says of DNS messages: the values of each field, in order."""
    capture = folder / "messages.pcap"
    with capture.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, IPV4))
        for wire in wires:
            datagram = struct.pack("!4H", 53, 40000, 8 + len(wire), 0) + wire
            length = 20 + len(datagram)
            header = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\2"
            )
            file.write(struct.pack("<4I", 0, 0, length, length) + header + datagram)
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "aggregator=;"]
    for field in FIELDS:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    return [dict(zip(FIELDS, map(_values, row), strict=True)) for row in rows]


def _values(text: str) -> list[str]:
    return text.split(";") if text else []


def expected(response: dns.message.Message) -> dict[str, list[str]]:
    """The same for a message before it was encoded."""
    rrsets = [each for section in response.sections[1:] for each in section]
    rdatas = [(each.ttl, record) for each in rrsets for record in each]

    def of(rdtype: str) -> list:
        return [each for _, each in rdatas if each.rdtype == dns.rdatatype.from_text(rdtype)]

    opt = ["41"] if response.opt is not None else []
    params = [param for each in of("SVCB") for param in each.params.items()]
    return {
        "dns.id": [f"0x{response.id:04x}"],
        "dns.flags.rcode": [str(int(response.rcode()))],
        "dns.resp.type": [str(number) for _, each in rdatas for number in _types(each)] + opt,
        "dns.resp.ttl": [str(ttl) for ttl, _ in rdatas],
        "dns.opt.code": [str(int(option.otype)) for option in response.options],
        "dns.ds.key_id": [f"0x{each.key_tag:04x}" for each in of("DS")],
        "dns.ds.algorithm": [str(int(each.algorithm)) for each in of("DS")],
        "dns.ds.digest_type": [str(int(each.digest_type)) for each in of("DS")],
        "dns.ds.digest": [each.digest.hex() for each in of("DS")],
        "dns.tlsa.certificate_usage": [str(each.usage) for each in of("TLSA")],
        "dns.tlsa.certificate_association_data": [each.cert.hex() for each in of("TLSA")],
        "dns.svcb.svcpriority": [str(each.priority) for each in of("SVCB")],
        "dns.svcb.targetname": [_shown(each.target) for each in of("SVCB")],
        "dns.svcb.svcparam.alpn": [alpn.decode() for key, value in params if key == 1 for alpn in value.ids],
        "dns.svcb.svcparam.port": [str(value.port) for key, value in params if key == 3],
        "dns.svcb.svcparam.ipv4hint.ip": [a for key, value in params if key == 4 for a in value.addresses],
        "_ws.malformed": [],
    }


def _types(record: dns.rdata.Rdata) -> list[int]:
    """The type of a record and, as Wireshark has it, those in its bitmap."""
    return [int(record.rdtype), *sorted(rdata.types_in(getattr(record, "windows", ())))]


def _shown(target: dns.name.Name) -> str:
    return "<Root>" if target == dns.name.root else target.to_text(omit_final_dot=True)


def compare(messages: list[dns.message.Message], wires: list[bytes], folder: Path) -> None:
    for response, found in zip(messages, read(wires, folder), strict=True):
        wanted = expected(response)
        assert {field: found[field] for field in wanted} == wanted, response


@pytest.mark.parametrize("signal", signals.names())
def test_responses_in_worlds(signal, tmp_path):
    built = world(signal=(signal,), secure=EVERYWHERE)
    messages, wires = [], []
    for server in built.topology.servers:
        if server.role == EVIL or server.role not in built.hosting:
            continue
        authoritative = built.authoritative(server.role)
        for zone in built.hosting[server.role]:
            for each in zone:
                if each.covers or each.rdtype in (dns.rdatatype.NSEC3, dns.rdatatype.DNSKEY):
                    continue
                query = message.query(each.name, each.rdtype, id=len(messages))
                if each.rdtype == deleg.DELEG:
                    query.ednsflags |= deleg.DE_FLAG
                (response,) = authoritative.respond(query, Transport.DOT)
                messages.append(response)
                wires += authoritative.respond_wire(message.encode(query), Transport.DOT)
    assert len(messages) > 20
    compare(messages, wires, tmp_path)


def test_options(tmp_path):
    owner = name("secret.example.org.")
    query = message.query(owner, dns.rdatatype.A, id=1)
    message.add_keepalive(query)
    response = dns.message.make_response(query)
    response.answer.append(rrset("secret.example.org.", "A", "192.0.2.1"))
    message.add_ede(response, 9, "no key")
    message.add_keepalive(response, 30)
    message.add_option(response, commitment.encode(86400))
    padded = message.pad(response, 468)
    assert len(padded) == 468
    found = read([message.encode(query), message.encode(response), padded], tmp_path)
    assert [each["dns.opt.code"] for each in found] == [
        ["11"],
        ["15", "11", "65001"],
        ["15", "11", "65001", "12"],
    ]
    for each in found[1:]:
        assert each["dns.opt.ext_error.info_code"] == ["9"]
        assert each["dns.opt.ext_error.extra_text"] == ["no key"]
        assert each["dns.opt.edns_tcp_keepalive.timeout"] == ["300"]
    assert all(each["_ws.malformed"] == [] for each in found)
