"""Small things that are done to DNS messages: queries, padding, extended errors, keep-alive."""

from __future__ import annotations

import copy
import functools
import struct
from collections.abc import Iterable
from typing import cast

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from testbed.core.canonical import name_key

PAYLOAD = 1232
"""Octets; the UDP payload size that we advertise and never exceed (DNS flag day 2020, RFC 9715)."""

QUERY_BLOCK = 128
RESPONSE_BLOCK = 468
"""Octets; block lengths for padding (RFC 8467 section 4.1)."""

LARGEST = 65535
"""Octets; no message is larger (RFC 1035 section 4.2.2)."""

PADDING = dns.edns.OptionType.PADDING
KEEPALIVE = dns.edns.OptionType.KEEPALIVE

_OPTION_HEADER = 4
_KEEPALIVE_UNIT = 0.1


def query(
    qname: dns.name.Name,
    rdtype: dns.rdatatype.RdataType,
    *,
    id: int,
    dnssec_ok: bool = True,
    payload: int = PAYLOAD,
    options: Iterable[dns.edns.Option] = (),
) -> dns.message.QueryMessage:
    """An iterative query with EDNS: RD clear, DO as asked. ``payload`` is in octets."""
    message = dns.message.QueryMessage(id=id)
    message.find_rrset(message.question, qname, dns.rdataclass.IN, rdtype, create=True, force_unique=True)
    message.use_edns(0, dns.flags.DO if dnssec_ok else 0, payload, options=list(options))
    return message


def encode(message: dns.message.Message, limit: int = LARGEST) -> bytes:
    """Wire form, the same octets each time; dnspython by itself would shuffle the records of an RRset.

    What does not fit into ``limit`` octets is left out from the end, whole RRsets at a time, and TC is set
    when that reaches beyond the additional section (RFC 2181 section 9).
    """
    if not (message.answer or message.authority or message.additional or message.tsig):
        return _encode_question(message)
    return message.to_wire(max_size=limit, prefer_truncation=limit < LARGEST, want_shuffle=False)


def decode(wire: bytes) -> dns.message.Message:
    """The message in wire form, at a fraction of the cost when the same was read before, its ID apart.

    The message is the caller's own; the RRsets in it are shared and must not be changed. Raises
    dns.exception.DNSException when the octets are no DNS message.
    """
    message = copy.copy(_decode(wire[2:]))
    message.id = int.from_bytes(wire[:2], "big")
    message.sections = [list(section) for section in message.sections]
    message.index = dict(message.index)
    if message.opt is not None:
        message.opt = dns.rrset.from_rdata_list(message.opt.name, message.opt.ttl, list(message.opt))
    return message


@functools.lru_cache(maxsize=4096)
def _decode(rest: bytes) -> dns.message.Message:
    return dns.message.from_wire(bytes(2) + rest)


def pad(message: dns.message.Message, block: int) -> bytes:
    """Wire form, padded to a multiple of ``block`` octets (RFC 7830, RFC 8467 section 4.1).

    A message so long that no multiple remains is not padded. Raises ValueError without EDNS, the only place
    where padding can go.
    """
    if message.opt is None:
        raise ValueError("only a message with EDNS can be padded")
    if is_padded(message):
        _set_options(message, [option for option in message.options if option.otype != PADDING])
    wire = encode(message)
    fill = -(len(wire) + _OPTION_HEADER) % block
    if len(wire) + _OPTION_HEADER + fill > LARGEST:
        return wire
    # OPT is always the last record, so the option goes at the end, and only RDLEN has to be put right.
    options = _encode_options(message)
    rdlen = len(wire) - len(options) - 2
    length = len(options) + _OPTION_HEADER + fill
    return b"".join(
        (wire[:rdlen], length.to_bytes(2, "big"), options, struct.pack("!HH", PADDING, fill), bytes(fill))
    )


def is_padded(message: dns.message.Message) -> bool:
    """Whether a Padding option is present, however long."""
    return any(option.otype == PADDING for option in message.options)


def find(
    section: Iterable[dns.rrset.RRset], name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    """The RRset of a name and type in a section."""
    for rrset in section:
        if rrset.rdtype == rdtype and rrset.name == name:
            return rrset
    return None


def find_signatures(
    section: Iterable[dns.rrset.RRset], name: dns.name.Name, covers: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    """The signatures over the RRset of a name and type in a section."""
    for rrset in section:
        if rrset.rdtype == dns.rdatatype.RRSIG and rrset.covers == covers and rrset.name == name:
            return rrset
    return None


def ede(message: dns.message.Message) -> tuple[tuple[int, str], ...]:
    """Extended DNS errors, as INFO-CODE and EXTRA-TEXT (RFC 8914 section 2)."""
    return tuple((int(error.code), error.text or "") for error in message.extended_errors())


def add_ede(message: dns.message.Message, code: int, text: str = "") -> None:
    """Add an extended DNS error. Raises ValueError when the message has no EDNS."""
    add_option(message, dns.edns.EDEOption(dns.edns.EDECode.make(code), text or None))


def report_channel(message: dns.message.Message) -> dns.name.Name | None:
    """The agent that wants reports of failures (RFC 9567 section 5); None without one, or an empty one."""
    for option in message.options:
        if isinstance(option, dns.edns.ReportChannelOption) and option.agent_domain != dns.name.root:
            return option.agent_domain
    return None


def has_keepalive(message: dns.message.Message) -> bool:
    """Whether an edns-tcp-keepalive option is present (RFC 7828 section 3.1)."""
    return any(option.otype == KEEPALIVE for option in message.options)


def keepalive_timeout(message: dns.message.Message) -> float | None:
    """Seconds for which the server lets a session be idle, or None (RFC 7828 section 3.1)."""
    for option in message.options:
        if option.otype == KEEPALIVE:
            data = cast(dns.edns.GenericOption, option).data
            if len(data) == 2:
                return int.from_bytes(data, "big") * _KEEPALIVE_UNIT
    return None


def add_keepalive(message: dns.message.Message, timeout: float | None = None) -> None:
    """Add an edns-tcp-keepalive option: without a timeout to queries, with one, in seconds, to responses.

    For TCP and TLS only: it has no meaning over UDP (RFC 7828 section 3.2.1), and is an error in QUIC
    (RFC 9250 section 5.5.2). Raises ValueError when the message has no EDNS.
    """
    data = b"" if timeout is None else round(timeout / _KEEPALIVE_UNIT).to_bytes(2, "big")
    add_option(message, dns.edns.GenericOption(KEEPALIVE, data))


def add_option(message: dns.message.Message, option: dns.edns.Option) -> None:
    """Add an EDNS option, all else in the OPT record as it was. Raises ValueError without EDNS."""
    if message.opt is None:
        raise ValueError("a message without EDNS has no place for options")
    _set_options(message, [*message.options, option])


def same_question(asked: dns.message.Message, response: dns.message.Message) -> bool:
    """Whether both have one question, and the same (RFC 5452 section 9.1), in whatever case."""
    if len(asked.question) != 1 or len(response.question) != 1:
        return False
    ours, theirs = asked.question[0], response.question[0]
    return (
        ours.rdtype == theirs.rdtype
        and ours.rdclass == theirs.rdclass
        and name_key(ours.name) == name_key(theirs.name)
    )


def _encode_question(message: dns.message.Message) -> bytes:
    """The wire form of a message without RRs, as most queries are: much faster than the general way."""
    parts = [
        struct.pack(
            "!HHHHHH", message.id, message.flags, len(message.question), 0, 0, message.opt is not None
        )
    ]
    for question in message.question:
        parts += [bytes((len(label),)) + label for label in question.name.labels]
        parts.append(struct.pack("!HH", question.rdtype, question.rdclass))
    if message.opt is not None:
        options = _encode_options(message)
        head = struct.pack("!BHHIH", 0, message.opt.rdtype, message.payload, message.ednsflags, len(options))
        parts += (head, options)
    return b"".join(parts)


def _encode_options(message: dns.message.Message) -> bytes:
    parts = []
    for option in message.options:
        data = option.to_wire()
        parts += [struct.pack("!HH", option.otype, len(data)), data]
    return b"".join(parts)


def _set_options(message: dns.message.Message, options: list[dns.edns.Option]) -> None:
    message.use_edns(
        message.edns,
        message.ednsflags,
        message.payload,
        request_payload=message.request_payload,
        options=options,
    )
