"""Reading where the secrets of a policy go."""

from __future__ import annotations

from rotator.model.entry import FieldNames
from rotator.policy.file.fields import Fields
from rotator.policy.file.policy_options import (
    DESTINATION,
    ENTRY_FIELDS,
    EXPIRY_FIELD,
    KEY_ID_FIELD,
    MOUNT,
    PATH_OF_SECRET,
    PREVIOUS_FIELD,
    SECRET_FIELD,
)
from rotator.policy.policy import DestinationTemplate


def read_destination(policy: Fields) -> DestinationTemplate:
    """Return where the secrets of a policy go."""
    fields = policy.below(DESTINATION)
    names = fields.below(ENTRY_FIELDS)
    template = DestinationTemplate(
        mount=fields.take(MOUNT),
        path=fields.take(PATH_OF_SECRET),
        fields=FieldNames(
            secret=names.take(SECRET_FIELD),
            key_id=names.take(KEY_ID_FIELD),
            previous_key_id=names.take(PREVIOUS_FIELD),
            expires_at=names.take(EXPIRY_FIELD),
        ),
    )
    names.close()
    fields.close()
    written = template.fields
    given = [n for n in (written.secret, written.key_id, written.previous_key_id, written.expires_at) if n]
    place = names.last_of(*(part.name for part in ENTRY_FIELDS.parts))
    if place is not None and len(set(given)) < len(given):
        fields.complaints.tell(place, "two fields of the entry have one name")
    return template
