"""The path of a destination, with names in braces for what differs from key to key."""

from __future__ import annotations

from rotator.policy.file.document import Node
from rotator.policy.file.kinds import read_text, whole
from rotator.policy.file.option import Kind
from rotator.policy.file.problems import Refused, allowed
from rotator.policy.match import PLACEHOLDERS, placeholders_of
from rotator.policy.names import NO_DOTS, PATH, SEGMENT_CHARACTERS, Form

_BRACED = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_PART = rf"{NO_DOTS}(?:[{SEGMENT_CHARACTERS}]|\{{(?:{'|'.join(PLACEHOLDERS)})\}})+"
_FORM = Form(
    f"a path in Vault with any of {_BRACED} in it",
    rf"(?=.{{1,400}}$){_PART}(?:/{_PART})*",
    f"{PATH.rule}; {_BRACED}",
)


def _read(node: Node) -> str:
    text = read_text(node)
    try:
        unknown = sorted(placeholders_of(text) - set(PLACEHOLDERS))
    except ValueError as error:
        raise Refused(str(error), f"allowed: {_BRACED}") from None
    if unknown:
        raise Refused("an unknown placeholder", allowed(unknown[0], PLACEHOLDERS))
    if not _FORM.fits(text):
        raise Refused("a path that can't be used", f"allowed: {_FORM.rule}")
    return text


TEMPLATE = Kind(read=_read, schema=whole(_FORM.pattern), words=_FORM.noun)
