"""The JSON Schema of scenario files, made from the models and from what can be found.

It says what an editor can check and complete. Whether a scenario makes sense, only loading it tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from testbed import signals, topology
from testbed.attack import catalogue
from testbed.core.policy import POLICIES
from testbed.scenario import engine
from testbed.scenario.matrix import FIELDS
from testbed.scenario.model import Scenario
from testbed.scenario.world import LONGEST_LATENCY, SERVED

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: the name of the field says as much."""
        return False


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(folder: Path | None = None) -> Schema:
    """The JSON Schema (draft 2020-12) of scenario files.

    ``folder`` is where the scenarios are, for the attackers near it; default: the working directory.
    Raises testbed.attack.catalogue.AttackerError when a file of an attacker cannot be used.
    """
    made = Scenario.model_json_schema(schema_generator=_Generator)
    defs: dict[str, Schema] = made.pop("$defs")
    properties: dict[str, Schema] = made["properties"]
    topologies = [topology.load(name) for name in topology.names()]
    roles = list(dict.fromkeys(role for item in topologies for role in item.roles))
    links = list(dict.fromkeys(link for item in topologies for link in item.links))

    world = defs["World"]["properties"]
    _says(world["signal"], _names_or_options(_signal_options(defs)))
    _says(world["signed"], _names_or_options(dict.fromkeys(roles, _ref("Signing"))))
    _says(world["secure"], _names_or_options(dict.fromkeys(roles, _ref("Service"))))
    _says(world["fragments"], _names_or_options(dict.fromkeys(roles, _ref("Fragments"))))
    _says(
        world["latency"],
        {
            "type": "object",
            "propertyNames": {"enum": roles},
            "additionalProperties": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": LONGEST_LATENCY,
            },
        },
    )
    _says(defs["Service"]["properties"]["transports"], _one_or_list({"enum": list(SERVED)}))

    resolver = defs["Resolver"]["properties"]
    paths = {"type": "string", "pattern": r"[/~]|^\."}
    _says(resolver["engine"], {"anyOf": [{"enum": engine.names()}, paths]})
    defs["Policy"]["properties"]["base"] = {"enum": list(POLICIES), "description": "The policy it is over."}
    _says(resolver["policy"], {"anyOf": [{"enum": list(POLICIES)}, _ref("Policy")]})

    folders = catalogue.folders_near(folder or Path.cwd())
    attack = defs["Attack"]
    elsewhere = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"}
    _says(attack["properties"]["attacker"], {"anyOf": [{"enum": catalogue.names(folders)}, elsewhere]})
    _says(attack["properties"]["on"], _one_or_list({"enum": links}))
    _says(attack["properties"]["with"], {"type": ["object", "null"]})
    attack["allOf"] = _attacker_options(folders, defs)

    _says(properties["topology"], {"enum": [item.name for item in topologies]})
    for rules in ("expect", "claimed"):
        _says(properties[rules], _one_or_list(_ref("Rule")))
    properties["matrix"]["propertyNames"] = {"pattern": rf"^({'|'.join(FIELDS)})(\.[^.]+)*$"}
    for unused in ("BaseModel", "Transport"):
        del defs[unused]
    for part in (made, *defs.values()):
        _forget_defaults(part.get("properties", {}))
    about = "A deployment, a resolver and attackers, and what is expected to come of them."
    return {"$schema": DIALECT, **made, "title": "adox scenario", "description": about, "$defs": defs}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _says(field: Schema, schema: Schema) -> None:
    """Replace what a field may be, and keep its description and a default that is plain."""
    description, default = field["description"], field.get("default")
    field.clear()
    field.update(schema, description=description)
    if isinstance(default, str | int):
        field["default"] = default


def _forget_defaults(fields: dict[str, Schema]) -> None:
    """Leave out defaults that only say that nothing was given, or that spell a whole part out."""
    for field in fields.values():
        if field.get("default") in (None, "", [], {}) or isinstance(field["default"], dict):
            field.pop("default", None)


def _one_or_list(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _names_or_options(options: dict[str, Schema]) -> Schema:
    """A list of names, or a mapping from them to options, which may be left empty."""
    mapping = {name: {"anyOf": [{"type": "null"}, schema]} for name, schema in options.items()}
    return {
        "anyOf": [
            {"type": "array", "items": {"enum": list(options)}, "uniqueItems": True},
            {"type": "object", "properties": mapping, "additionalProperties": False},
        ]
    }


def _signal_options(defs: dict[str, Schema]) -> dict[str, Schema]:
    return {name: _options(signals.load(name).Parameters, f"signal {name}", defs) for name in signals.names()}


def _attacker_options(folders: tuple[Path, ...], defs: dict[str, Schema]) -> list[Schema]:
    """For each attacker, what its parameters must be."""
    return [
        {
            "if": {"properties": {"attacker": {"const": name}}},
            "then": {"properties": {"with": {"anyOf": [{"type": "null"}, schema]}}},
        }
        for name in catalogue.names(folders)
        for schema in [
            _options(catalogue.load(name, folders).Parameters, f"attacker {name}", defs),
        ]
    ]


def _options(model: type[BaseModel], owner: str, defs: dict[str, Schema]) -> Schema:
    """A reference to the schema of parameters, which is put among the definitions.

    None is required: an axis of a matrix may give it.
    """
    template = f"#/$defs/{owner} {{model}}".replace(" ", "-")
    made = model.model_json_schema(schema_generator=_Generator, ref_template=template)
    for name, definition in made.pop("$defs", {}).items():
        defs[f"{owner} {name}".replace(" ", "-")] = definition
    made.pop("required", None)
    key = f"{owner} parameters".replace(" ", "-")
    defs[key] = made
    return _ref(key)
