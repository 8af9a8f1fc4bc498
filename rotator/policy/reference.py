"""Reading where a secret is kept. Whatever stands there may be the secret itself: none of it is ever shown."""

from __future__ import annotations

import re

from rotator.policy.document import Mapping, Node, Scalar
from rotator.policy.fields import Refused, describe, is_null
from rotator.policy.names import resembles_secret
from rotator.policy.settings import SecretReference, SecretSource

REFERENCE_HINT = "write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`"
"""What is allowed, for the hints of error messages."""

_NAME_OF_SOURCE = {
    # Capital letters only: a secret pasted in place of the name is then almost never taken for one.
    SecretSource.ENV: (re.compile(r"[A-Z_][A-Z0-9_]{0,127}"), "capital letters, digits and `_`"),
    SecretSource.FILE: (re.compile(r"/[^\x00-\x1f\x7f]{1,1023}"), "an absolute path"),
    SecretSource.SYSTEMD: (re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}"), "letters, digits and `._-`"),
}


def read_reference(node: Node) -> SecretReference:
    """Return where a secret is kept. Whatever stands here may be the secret itself: none of it is shown."""
    if isinstance(node, Scalar) and "${" in node.text:
        raise Refused(f"{describe(node)}; `${{...}}` is not expanded", REFERENCE_HINT)
    if not isinstance(node, Mapping):
        raise Refused(describe(node), REFERENCE_HINT)
    if "vault" in node.names:
        raise Refused("this version does not have references to Vault yet", REFERENCE_HINT)
    if len(node.names) != 1 or node.repeated:
        raise Refused(f"{describe(node)} where exactly one is expected", REFERENCE_HINT)
    ((key, value),) = node.values.items()
    if key not in set(SecretSource):
        raise Refused("a mapping with an unknown key", REFERENCE_HINT)
    source = SecretSource(key)
    pattern, rule = _NAME_OF_SOURCE[source]
    if not isinstance(value, Scalar) or is_null(value):
        raise Refused(f"{describe(value)} where a name is expected", REFERENCE_HINT, at=value)
    if "${" in value.text:
        raise Refused(f"{describe(value)}; `${{...}}` is not expanded", REFERENCE_HINT, at=value)
    if not pattern.fullmatch(value.text):
        raise Refused(f"{describe(value)} that can't stand here", f"allowed: {rule}", at=value)
    if resembles_secret(value.text):
        raise Refused(f"{describe(value)} that looks like a secret itself", REFERENCE_HINT, at=value)
    return SecretReference(source, value.text)
