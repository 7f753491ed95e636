"""DNS messages in HTTP requests and responses (RFC 8484), whatever the version of HTTP."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Literal

from testbed.core.dohpath import Template
from testbed.core.transport import Failure, TransportError
from testbed.transports import Address
from testbed.transports.records import lifetime

Method = Literal["POST", "GET"]

Headers = list[tuple[str, str]]
"""Header fields in order, pseudo-header fields first, names in lower case."""

LARGEST = 65535
"""Octets in a DNS message (RFC 8484 section 6)."""

_LONGEST_PATH = 65000  # a little less than what the QPACK library takes
_MEDIA_TYPE = "application/dns-message"
_HEADER = 12
_HTTPS = 443


Request = Callable[[bytes], tuple[Headers, bytes]]
"""Makes the header fields and the content of a request for a DNS message."""


class HttpError(Exception):
    """A request that is answered with an error: ``status``, and header fields that belong to it."""

    def __init__(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.headers: Headers = list(headers)


# -- requests ------------------------------------------------------------------------------------------


def authority(sni: str | None, remote: Address) -> str:
    """The :authority of a request: the server's name, or its address where there is no name."""
    host = sni or (f"[{remote[0]}]" if ":" in remote[0] else remote[0])
    return host if remote[1] == _HTTPS else f"{host}:{remote[1]}"


def request(template: Template, method: Method, to: str, message: bytes) -> tuple[Headers, bytes]:
    """The header fields and the content of a request. Nothing in it tells clients apart (section 8.2).

    Raises ValueError for a message that is too long, or, after base64, for a path.
    """
    path = template.expand(message if method == "GET" else None)
    if len(message) > LARGEST or len(path) > _LONGEST_PATH:
        raise ValueError(f"a DNS message of {len(message)} octets does not fit in a {method} request")
    headers = [
        (":method", method),
        (":scheme", "https"),
        (":authority", to),
        (":path", path),
        ("accept", _MEDIA_TYPE),
    ]
    if method == "GET":
        return headers, b""
    headers += [("content-type", _MEDIA_TYPE), ("content-length", str(len(message)))]
    return headers, message


def query_of(template: Template, headers: Headers, content: bytes) -> bytes:
    """The query that a request holds. Raises HttpError for a request that is not one of RFC 8484."""
    fields = dict(headers)
    variable = template.message(fields.get(":path", ""))
    if variable is None:
        raise HttpError(HTTPStatus.NOT_FOUND)
    match fields.get(":method"):
        case "POST":
            if not _is_dns(fields):
                raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ("accept", _MEDIA_TYPE))
            query = content
        case "GET":
            query = _decoded(variable)
        case _:
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, ("allow", "GET, POST"))
    if len(query) > LARGEST:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if len(query) < _HEADER:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    return query


def _decoded(text: str) -> bytes:
    """base64url without padding (RFC 8484 section 6)."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise HttpError(HTTPStatus.BAD_REQUEST)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise HttpError(HTTPStatus.BAD_REQUEST) from None


def _is_dns(fields: dict[str, str]) -> bool:
    return fields.get("content-type", "").partition(";")[0].strip().lower() == _MEDIA_TYPE


# -- responses -----------------------------------------------------------------------------------------


def response(messages: list[bytes]) -> tuple[Headers, bytes]:
    """The header fields and the content of a response with a message.

    It may be cached as long as the message may (section 5.1). HTTP has one response to a request, so that
    a transfer of several messages is not implemented.
    """
    if len(messages) != 1:
        return error_response(HttpError(HTTPStatus.NOT_IMPLEMENTED)), b""
    message = messages[0]
    headers = [
        (":status", "200"),
        ("content-type", _MEDIA_TYPE),
        ("content-length", str(len(message))),
        ("cache-control", f"max-age={lifetime(message)}"),
    ]
    return headers, message


def error_response(error: HttpError) -> Headers:
    """The header fields of a response without content."""
    return [(":status", str(int(error.status))), ("content-length", "0"), *error.headers]


def message_of(headers: Headers, content: bytes) -> bytes:
    """The message in a response. Raises TransportError (PROTOCOL) when there is none in it."""
    fields = dict(headers)
    status = fields.get(":status", "")
    if not re.fullmatch("2[0-9][0-9]", status):
        raise TransportError(Failure.PROTOCOL, f"HTTP status {status}")
    if not _is_dns(fields):
        raise TransportError(Failure.PROTOCOL, f"media type {fields.get('content-type', 'not given')}")
    if len(content) < _HEADER:
        raise TransportError(Failure.PROTOCOL, f"a DNS message has 12 octets at least, not {len(content)}")
    return content


def decoded(headers: Iterable[tuple[bytes | str, bytes | str]]) -> Headers:
    """Header fields as texts; octets above 127 as in Latin-1."""
    return [(_text(name), _text(value)) for name, value in headers]


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Header fields as bytes."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _text(field: bytes | str) -> str:
    return field if isinstance(field, str) else field.decode("latin-1")
