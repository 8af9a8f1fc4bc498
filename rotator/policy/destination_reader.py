"""Reading where the secrets of a policy go."""

from __future__ import annotations

from rotator.model.entry import ROTATION_ID_FIELD, FieldNames
from rotator.policy.document import Node
from rotator.policy.fields import Fields, Refused, allowed
from rotator.policy.match import PLACEHOLDERS, placeholders_of
from rotator.policy.names import FIELD_RULE, PATH_RULE, is_field, is_path
from rotator.policy.policy import DestinationTemplate
from rotator.policy.scalars import read_matching, read_path, read_text


def read_destination(fields: Fields) -> DestinationTemplate:
    """Return where secrets go, and close `fields`."""
    default = DestinationTemplate()
    names = fields.section("fields")
    template = DestinationTemplate(
        mount=fields.take("mount", read_path, default.mount),
        path=fields.take("path", _read_template, default.path),
        fields=FieldNames(
            secret=names.take("secret", _read_field, default.fields.secret),
            key_id=names.take_or_none("key_id", _read_field, default.fields.key_id),
            previous_key_id=names.take_or_none(
                "previous_key_id", _read_field, default.fields.previous_key_id
            ),
            expires_at=names.take_or_none("expires_at", _read_field, default.fields.expires_at),
        ),
    )
    names.close()
    fields.close()
    written = template.fields
    given = [n for n in (written.secret, written.key_id, written.previous_key_id, written.expires_at) if n]
    place = names.last_of("secret", "key_id", "previous_key_id", "expires_at")
    if place is not None and len(set(given)) < len(given):
        fields.complaints.tell(place, "two fields of the entry have one name")
    return template


def _read_field(node: Node) -> str:
    name = read_matching(is_field, FIELD_RULE)(node)
    if name == ROTATION_ID_FIELD:
        raise Refused(f"`{ROTATION_ID_FIELD}` is written already, under this fixed name")
    return name


def _read_template(node: Node) -> str:
    text = read_text(node)
    names = "allowed: " + " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        found = placeholders_of(text)
    except ValueError as error:
        raise Refused(str(error), names) from None
    unknown = sorted(found - set(PLACEHOLDERS))
    if unknown:
        raise Refused("an unknown placeholder", allowed(unknown[0], PLACEHOLDERS))
    if not is_path(text.format_map(dict.fromkeys(PLACEHOLDERS, "x"))):
        raise Refused("a path that can't be used", f"allowed: {PATH_RULE}; {names}")
    return text
