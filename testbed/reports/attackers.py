"""The catalogue of attackers, as a table in a page and as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from testbed.attack.describe import Description, Parameter

BEGIN = "<!-- The table is written by `adox accept docs`. -->"
END = "<!-- End of the table. -->"


def page(text: str, found: Iterable[Description]) -> str:
    """A page with the table between its marks made anew. Raises ValueError when the marks are not there."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table, between {BEGIN} and {END}")
    return "".join((head, begin, "\n\n", "\n".join(_table(found)), "\n\n", end, tail))


def _table(found: Iterable[Description]) -> Iterator[str]:
    yield "| attacker | what it does | must be able to | sits on | source | parameters |"
    yield "|---|---|---|---|---|---|"
    for one in found:
        parameters = ", ".join(map(_parameter, one.parameters))
        cells = (f"`{one.name}`", one.summary, one.capability, one.position, one.source, parameters)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _able(one: Description) -> str:
    """Its capability, and what some certificates take."""
    further = f"; with some certificates: {', '.join(one.needs)}" if one.needs else ""
    return f"{one.capability}{further}"


def _parameter(parameter: Parameter) -> str:
    """A parameter with the words that it may be; all attackers' certificates are the same ones."""
    values = () if parameter.name == "certificate" else parameter.values
    return f"`{parameter.name}`" + (f" ({', '.join(f'`{value}`' for value in values)})" if values else "")


def details(one: Description) -> Iterator[str]:
    """Everything about one, as lines of text."""
    yield one.name
    yield f"  {one.summary}"
    yield f"  must be able to: {_able(one)}"
    yield f"  sits on: {one.position}"
    yield f"  source: {one.source}"
    yield f"  is shown: {', '.join(one.hooks) or 'packets only'}"
    for parameter in one.parameters:
        default = "nothing" if parameter.default in (None, [], "") else _shown(parameter.default)
        kind = ", ".join(parameter.values) or parameter.kind
        yield f"  with {parameter.name}: {kind}; default: {default}"
        yield f"    {parameter.about}"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(found: Iterable[Description]) -> dict[str, object]:
    """The catalogue as ``--json`` prints it."""
    return {"schema": 1, "attackers": [dataclasses.asdict(one) for one in found]}
