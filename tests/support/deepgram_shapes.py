"""What Deepgram's answers may look like, as JSON Schemas of our own: the measure for the simulator.

Every field that may be there is named with its type, and every field that must be; nothing else is allowed. Sources:

- Deepgram's OpenAPI description (github deepgram/deepgram-api-specs, commit 4ba987c): all fields and their types. It
  calls every one of them optional, so what must be there is taken from the samples of Deepgram's docs and from what
  its Rust SDK (github deepgram/deepgram-rust-sdk, src/manage) can't do without.
- Where that description and real answers differ, the other source stands beside the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from rotator.simulator.faults import Operation

Shape = Mapping[str, Any]

_TEXT: Final[Shape] = {"type": "string"}
_TEXTS: Final[Shape] = {"type": "array", "items": _TEXT, "uniqueItems": True}
_UUID: Final[Shape] = {
    "type": "string",
    # Ids are plain texts in the description, and UUIDs in the types of the Rust SDK.
    "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
}
_MOMENT: Final[Shape] = {
    "type": "string",
    # RFC 3339 in UTC. The samples of the docs have 0 to 6 digits of a second's fraction; chrono, Deepgram's parser by
    # its error texts, writes up to 9.
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$",
}


def _object(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list_of(name: str, item: Shape, **beside: Shape) -> Shape:
    return _object({name: {"type": "array", "items": item}, **beside})


_NAMES: Final[Mapping[str, Shape]] = {"first_name": _TEXT, "last_name": _TEXT}
_MEMBER: Final = _object({"member_id": _UUID, "email": _TEXT}, _NAMES)
_KEY: Final[Mapping[str, Shape]] = {
    "api_key_id": _UUID,
    "comment": _TEXT,
    "scopes": _TEXTS,
    "created": _MOMENT,
}
_DETAILS: Final[Mapping[str, Shape]] = {
    # Left out when they are unset: the samples in Deepgram's docs "Working with Roles" and its older API reference.
    "tags": {**_TEXTS, "minItems": 1},
    "expiration_date": _MOMENT,
}

LISTED: Final = _list_of("api_keys", _object({"member": _MEMBER, "api_key": _object(_KEY)}))
"""A list as it is described: neither tags nor expiry."""

LISTED_WITH_DETAILS: Final = _list_of(
    "api_keys", _object({"member": _MEMBER, "api_key": _object(_KEY, _DETAILS)})
)
"""A list as Deepgram's older API reference and its Rust SDK have it."""

GOT_NESTED: Final = _object(
    {
        "item": _object(
            {
                "member": _object(
                    {"member_id": _UUID, "email": _TEXT, "api_key": _object(_KEY, _DETAILS)}, _NAMES
                )
            }
        )
    }
)
"""One key as it is described."""

GOT_FLAT: Final = _object({"member": _MEMBER, "api_key": _object(_KEY, _DETAILS)})
"""One key as Deepgram's docs "Working with Roles" show it, and as its SDKs for Go and Rust read it."""

CREATED: Final = _object(
    {
        "api_key_id": _UUID,
        "key": {"type": "string", "minLength": 1},
        "comment": _TEXT,
        "scopes": _TEXTS,
    },
    # `created` is not described; the sample of Deepgram's docs "Create Additional API Keys" has it.
    {**_DETAILS, "created": _MOMENT},
)

_REQUEST: Final = _object(
    {
        "request_id": _UUID,
        "project_uuid": _UUID,
        "created": _MOMENT,
        "path": _TEXT,
        "api_key_id": _UUID,
        # Null while it is pending: the types of the Rust SDK.
        "response": {"type": ["object", "null"]},
        "code": {"type": "integer"},
        "deployment": {"enum": ["hosted", "beta", "self-hosted"]},
        # A text by the description; null or an object in the types of the Rust SDK and the samples of the docs.
        "callback": {"type": ["string", "object", "null"]},
    }
)

SUCCESS: Final[Mapping[Operation, Shape]] = {
    Operation.PROJECTS: _list_of("projects", _object({"project_id": _UUID, "name": _TEXT})),
    Operation.LIST: LISTED,
    Operation.GET: GOT_FLAT,
    Operation.CREATE: CREATED,
    Operation.DELETE: _object({"message": _TEXT}),
    # Not in the description. Deepgram's docs "Authenticating" name the call; a recorded answer in the end-to-end
    # tests of its JavaScript SDK (v4.11.2) has these fields.
    Operation.PROVE: _object({"scopes": _TEXTS, "created": _MOMENT}, {"api_key_id": _UUID}),
    # The part that a consumer without audio gets; the description has many more fields.
    Operation.LISTEN: _object(
        {"metadata": _object({"request_id": _UUID}), "results": _list_of("channels", {"type": "object"})}
    ),
    Operation.REQUESTS: _list_of(
        "requests",
        _REQUEST,
        page={"type": "integer", "minimum": 0},
        limit={"type": "integer", "minimum": 1, "maximum": 1000},
    ),
    Operation.MEMBERS: _list_of(
        "members", _object({"member_id": _UUID, "email": _TEXT, "scopes": _TEXTS}, _NAMES)
    ),
    Operation.MEMBER_SCOPES: _object({"scopes": _TEXTS}),
}
"""What each call answers when it is done, with no quirk on."""

LEGACY: Final = _object({"err_code": _TEXT, "err_msg": _TEXT, "request_id": _UUID})
MODERN: Final = _object({"category": _TEXT, "message": _TEXT, "details": _TEXT, "request_id": _UUID})
PLAIN: Final[Shape] = {"type": "string", "minLength": 1}
"""The three kinds of bodies that an error may have (ErrorResponse in the description; Deepgram's docs, "Errors")."""


def check(body: object, shape: Shape) -> None:
    """Raise ValidationError when `body` has another shape."""
    jsonschema.Draft202012Validator(shape).validate(body)
