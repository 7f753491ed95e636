"""The pages of documentation that are made from the code: fields of scenario files, signals, topologies."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from testbed import signals, topology
from testbed.core.policy import POLICIES

Schema = dict[str, Any]

PARTS = {
    "World": "world",
    "Signing": "world.signed.ROLE",
    "Service": "world.secure.ROLE",
    "CertificateAuthority": "world.ca",
    "Resolver": "resolver",
    "Policy": "resolver.policy",
    "Attack": "attack.N",
    "Rule": "expect.N",
}
"""Parts of a scenario file, and where in it they stand."""

NOT_WRITTEN = {"name"}
"""Fields that the testbed sets, and nobody writes."""

STEP = "Step"
"""How the names of the parts end that are steps."""

LIMIT = 12
"""How many values a table lists; where there are more, they are names that another page lists."""


def fields_page(schema: Schema) -> str:
    """A page with a table for every part of a scenario file, from its JSON Schema."""
    defs = schema["$defs"]
    lines = [
        "# Fields of a scenario file",
        "",
        "Made by `adox accept docs` from what `adox schema` prints. [scenarios.md](scenarios.md) explains",
        "how they are used, [signals.md](signals.md) and [attackers.md](attackers.md) have the parameters of",
        "signals and attackers.",
        "",
        "## The file",
        "",
        *_table(schema["properties"], defs),
    ]
    for name, place in PARTS.items():
        lines += ["", f"## {place}", "", _sentence(defs[name].get("description", "")), ""]
        fields = {key: field for key, field in defs[name]["properties"].items() if key not in NOT_WRITTEN}
        lines += _table(fields, defs)
        if name == "Policy":
            lines += ["", "The named policies vary these switches:", "", *_policies()]
    lines += ["", "## steps.N", "", "| step | what it does | its value |", "|---|---|---|"]
    for name, part in defs.items():
        if name.endswith(STEP):
            word = next(iter(part["properties"]))
            about = part["properties"][word].get("description", "")
            lines.append(f"| `{word}` | {_sentence(part.get('description', ''))} | {_cell(about)} |")
    return "\n".join(lines) + "\n"


def signals_page(schema: Schema) -> str:
    """A page with a section for every signal: what it is, and what operators can choose."""
    lines = [
        "# Signals",
        "",
        "How a resolver can learn that a name server encrypts. Made by `adox accept docs` from the files of",
        "[testbed/signals](../testbed/signals), of which each holds one signal.",
    ]
    for name in signals.names():
        module = importlib.import_module(type(signals.load(name)).__module__)
        title, text = _docstring(module.__doc__ or "")
        lines += ["", f"## `{name}`", "", f"**{title}**", *text]
        parameters = schema["$defs"].get(f"signal-{name}-parameters", {}).get("properties", {})
        if parameters:
            lines += ["", *_table(parameters, schema["$defs"])]
    return "\n".join(lines) + "\n"


def topologies_page() -> str:
    """A page with a section for every topology: its picture, and its servers."""
    lines = [
        "# Topologies",
        "",
        "Which servers there are, and on which link each of them is. Made by `adox accept docs` from the",
        "files of [topologies](../topologies).",
    ]
    for name in topology.names():
        item = topology.load(name)
        module = importlib.import_module(f"topologies.{name.replace('-', '_')}")
        title, text = _docstring(module.__doc__ or "")
        lines += ["", f"## `{name}`", "", title, *text, ""]
        lines += ["| role | zone | name server | link |", "|---|---|---|---|"]
        for server in item.servers:
            zone, host = (name.to_text(omit_final_dot=True) for name in (server.zone, server.name))
            lines.append(f"| `{server.role}` | `{zone}` | `{host}` | `{server.link}` |")
    return "\n".join(lines) + "\n"


def _policies() -> Iterator[str]:
    plain = type(next(iter(POLICIES.values())))()
    yield "| policy | switches |"
    yield "|---|---|"
    for name, policy in POLICIES.items():
        own = [
            f"`{switch}: {_value(value)}`"
            for switch, value in policy.model_dump(mode="json", exclude={"name"}).items()
            if value != plain.model_dump(mode="json")[switch]
        ]
        yield f"| `{name}` | {', '.join(own) or 'the defaults'} |"


def _table(properties: Schema, defs: Schema) -> Iterator[str]:
    yield "| field | values | default | |"
    yield "|---|---|---|---|"
    for name, field in properties.items():
        default = field.get("default")
        shown = "" if default in (None, "", [], {}) else f"`{_value(default)}`"
        values = ", ".join(dict.fromkeys(_values(field, defs)))
        yield f"| `{name}` | {_cell(values)} | {_cell(shown)} | {_cell(field.get('description', ''))} |"


def _values(field: Schema, defs: Schema) -> Iterator[str]:
    """What a field may be, in words."""
    choices = field.get("anyOf", field.get("oneOf", ()))
    if "enum" in field:
        few = len(field["enum"]) <= LIMIT
        yield from (f"`{value}`" for value in (field["enum"] if few else field["enum"][:3]))
        if not few:
            yield "..."
    elif "const" in field:
        yield f"`{_value(field['const'])}`"
    elif choices:
        for choice in choices:
            either = choice.get("type") == "array" and choice.get("items") in choices
            yield from ["or a list of them"] if either else _values(choice, defs)
    elif "$ref" in field:
        yield from _part(field["$ref"].rpartition("/")[2], defs)
    elif field.get("type") == "array":
        yield from (f"list of {value}" for value in _item(field.get("items", {}), defs))
    else:
        yield from _kinds(field.get("type", ()))


def _part(name: str, defs: Schema) -> Iterable[str]:
    if "enum" in defs[name]:
        return _values(defs[name], defs)
    return ["a step" if name.endswith(STEP) else PARTS.get(name, "a mapping")]


def _kinds(kinds: str | list[str]) -> Iterator[str]:
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind != "null":
            yield {"object": "a mapping", "string": "text"}.get(kind, kind)


def _item(items: Schema, defs: Schema) -> Iterable[str]:
    values = list(dict.fromkeys(_values(items, defs)))
    return [" / ".join(values)] if values else ["anything"]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _sentence(text: str) -> str:
    """The first paragraph of a description, with single instead of double backquotes."""
    return _cell(text.replace("``", "`").partition("\n\n")[0])


def _docstring(text: str) -> tuple[str, list[str]]:
    """The first line of a docstring, and the rest as Markdown: what is set in is code."""
    title, _, rest = inspect.cleandoc(text).partition("\n")
    lines: list[str] = []
    code = False
    for paragraph in rest.strip().split("\n\n"):
        if not paragraph.strip() or paragraph.strip() == "::":
            continue
        indented = paragraph.startswith(" ")
        if indented and not code:
            lines += ["", "```text"]
        elif code and not indented:
            lines += ["```"]
        if not indented or code:
            lines.append("")
        lines += [line.replace("``", "`") if not indented else line for line in paragraph.splitlines()]
        code = indented
    if code:
        lines.append("```")
    return title.replace("``", "`"), lines
