"""Where DNS is to be had on a server of HTTPS: a URI template (RFC 8484 section 3, RFC 9461 section 5)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

DEFAULT_PATH = "/dns-query{?dns}"
"""The path that servers have for want of a better one, and that is assumed where nothing names one."""

LONGEST = 1024
"""Octets of a path; nobody needs more, and not every HTTP library takes more."""

_CHARACTERS = re.compile(r"/[!$-;=?-\[\]_a-z{}~]*")
_VARIABLE = re.compile(r"\{([?&]?)dns\}")


@dataclass(frozen=True)
class Template:
    """The path of a DNS API server: a URI template with the variable "dns" (RFC 8484 section 3, RFC 9461).

    Raises ValueError for a path that is not absolute or has characters that URIs do not have (RFC 6570
    section 2.1), and for any expression but ``{?dns}``, ``{&dns}`` and ``{dns}``.
    """

    text: str = DEFAULT_PATH

    def __post_init__(self) -> None:
        expressions = re.findall(r"\{[^}]*\}?|\}", self.text)
        well_formed = len(self.text) <= LONGEST and _CHARACTERS.fullmatch(self.text)
        if not well_formed or len(expressions) != 1 or not _VARIABLE.search(self.text):
            raise ValueError(f"not a URI template of a DNS API server: {self.text!r}")

    def expand(self, message: bytes | None) -> str:
        """The path for a GET request with a message, or for POST (RFC 6570 section 3.2)."""

        def value(match: re.Match[str]) -> str:
            if message is None:
                return ""
            text = base64.urlsafe_b64encode(message).rstrip(b"=").decode("ascii")
            return f"{match[1]}dns={text}" if match[1] else text

        return _VARIABLE.sub(value, self.text)

    def message(self, path: str) -> str | None:
        """What a path has for the variable, "" for nothing. None when it is another path altogether."""
        match = _VARIABLE.search(self.text)
        assert match is not None
        head, tail = self.text[: match.start()], self.text[match.end() :]
        if match[1]:
            own_path, _, own_query = f"{head}{tail}".partition("?")
            path, _, query = path.partition("?")
            fields = query.split("&")
            if path != own_path or not set(filter(None, own_query.split("&"))) <= set(fields):
                return None
            return next((field[4:] for field in fields if field.startswith("dns=")), "")
        if not (path.startswith(head) and path.endswith(tail) and len(path) >= len(head) + len(tail)):
            return None
        return path[len(head) : len(path) - len(tail)]


def usable(text: str) -> bool:
    """Whether a text is a path that a resolver can follow."""
    try:
        Template(text)
    except ValueError:
        return False
    return True
