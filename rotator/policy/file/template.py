"""The path of a destination, with names in braces for what differs from key to key."""

from __future__ import annotations

from rotator.policy.file.document import Node
from rotator.policy.file.kinds import read_text, whole
from rotator.policy.file.option import Kind
from rotator.policy.file.problems import Refused, allowed
from rotator.policy.match import PLACEHOLDERS, placeholders_of
from rotator.policy.names import NO_DOTS, PATH, SEGMENT_CHARACTERS

_BRACED = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_PART = rf"{NO_DOTS}(?:[{SEGMENT_CHARACTERS}]|\{{(?:{'|'.join(PLACEHOLDERS)})\}})+"


def _read(node: Node) -> str:
    text = read_text(node)
    try:
        found = placeholders_of(text)
    except ValueError as error:
        raise Refused(str(error), f"allowed: {_BRACED}") from None
    unknown = sorted(found - set(PLACEHOLDERS))
    if unknown:
        raise Refused("an unknown placeholder", allowed(unknown[0], PLACEHOLDERS))
    if not PATH.fits(text.format_map(dict.fromkeys(PLACEHOLDERS, "x"))):
        raise Refused("a path that can't be used", f"allowed: {PATH.rule}; {_BRACED}")
    return text


TEMPLATE = Kind(
    read=_read, schema=whole(rf"{_PART}(?:/{_PART})*"), words=f"a path in Vault with any of {_BRACED} in it"
)
