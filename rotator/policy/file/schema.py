"""The table of options as JSON Schema (draft 2020-12): what editors check a policy file against while it is written.

It says what the loader says, as far as a schema can: not whether times work together, whether a provider that is
named exists, or whether a name or a destination is used twice.
"""

from __future__ import annotations

import json

from rotator.policy.file.option import Json, Needed, Option, Part, Section, Shape, written
from rotator.policy.file.options import POLICY_FILE
from rotator.policy.file.policy_options import (
    COMMENT,
    DEFAULTS,
    DESTINATION,
    KEYS,
    PATH_OF_SECRET,
    POLICIES,
    PROVIDER,
    SCOPES,
    SELECT,
    TAGS,
)
from rotator.policy.file.settings_options import INCLUDED_FILES
from rotator.policy.names import NAME

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CHOICES: list[Json] = [{"required": [COMMENT.name]}, {"required": [TAGS.name]}, {"required": [SCOPES.name]}]


def text() -> str:
    """Return the schema as JSON."""
    return json.dumps(schema(), indent=2)


def schema() -> dict[str, Json]:
    """Return the schema of the policy file."""
    return {
        "$schema": _DIALECT,
        "title": "The policy file of rotator",
        "description": POLICY_FILE.why,
        **_mapping(POLICY_FILE),
        "anyOf": [{"required": [POLICIES.name]}, {"required": [INCLUDED_FILES.name]}],
        "allOf": [
            _unless_shared(
                {"required": [PROVIDER.name]},
                {"required": [PROVIDER.name]},
            ),
            _unless_shared(
                {"required": [SELECT.name]},
                {"anyOf": [{"required": [SELECT.name]}, {"required": [KEYS.name]}]},
            ),
            _unless_shared(
                {"required": [SELECT.name], "properties": {SELECT.name: {"anyOf": _CHOICES}}},
                {"properties": {SELECT.name: {"anyOf": _CHOICES}}},
            ),
        ],
    }


def _unless_shared(shared: Json, each: Json) -> Json:
    """Return that `each` holds for every policy, unless `shared` holds for the defaults."""
    return {
        "if": {"required": [DEFAULTS.name], "properties": {DEFAULTS.name: shared}},
        "else": {"properties": {POLICIES.name: {"items": each}}},
    }


def _part(part: Part) -> dict[str, Json]:
    """Return the schema of one option or section, with its reason and its default."""
    described: dict[str, Json] = {"description": part.why}
    if isinstance(part, Section):
        return described | _section(part)
    if isinstance(part, Option):
        default = written(part.default)
        if default is not None:
            described["default"] = default
    return described | part.kind.schema


def _section(section: Section) -> dict[str, Json]:
    each = _mapping(section)
    match section.shape:
        case Shape.MAPPING:
            return each
        case Shape.CHOICE:
            return each | {"type": "object", "minProperties": 1, "maxProperties": 1}
        case Shape.NAMED:
            names: Json = {"pattern": f"^{NAME.pattern}$"}
            return {"type": "object", "propertyNames": names, "additionalProperties": each}
        case Shape.LISTED:
            if section.most is None:
                return {"type": "array", "items": each | _ONE_WAY}
            return {"type": ["array", "null"], "items": each, "minItems": 1, "maxItems": section.most}


def _mapping(section: Section) -> dict[str, Json]:
    """Return the schema of a mapping with the parts of a section. An empty value counts as an empty mapping."""
    needed = _needed(section)
    made: dict[str, Json] = {
        "type": "object" if needed or section.filled else ["object", "null"],
        "properties": {part.name: _part(part) for part in section.parts},
        "additionalProperties": False,
    }
    if needed:
        made["required"] = needed
    if section.filled:
        made["minProperties"] = 1
    return made


def _needed(section: Section) -> list[Json]:
    """Return which parts must be written, whatever else is. `defaults` can give each policy its providers."""
    if section is DEFAULTS or section.shape is Shape.CHOICE:
        return []
    return [
        part.name
        for part in section.parts
        if (isinstance(part, Needed) and part is not PROVIDER) or (isinstance(part, Section) and part.needed)
    ]


_ONE_WAY: dict[str, Json] = {
    "allOf": [
        {"not": {"required": [SELECT.name, KEYS.name]}},
        {
            "not": {
                "required": [KEYS.name, DESTINATION.name],
                "properties": {DESTINATION.name: {"type": "object", "required": [PATH_OF_SECRET.name]}},
            }
        },
    ]
}
"""A policy names its keys in one way, and `keys` says the paths."""
