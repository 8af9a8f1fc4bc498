"""Reading where a secret is kept. Whatever stands there may be the secret itself: none of it is ever shown."""

from __future__ import annotations

from rotator.policy.file.document import Mapping, Node, Scalar
from rotator.policy.file.kinds import whole
from rotator.policy.file.option import Json, Kind
from rotator.policy.file.problems import Refused, describe, is_null
from rotator.policy.names import FIELD, FILE, LONG_RUN, PATH, Form, repeats_mount, resembles_secret
from rotator.policy.settings import SecretReference, SecretSource, VaultReference

REFERENCE_HINT = "write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`"
"""What is allowed, for the hints of error messages."""

CREDENTIAL_HINT = f"{REFERENCE_HINT}, or `{{vault: {{mount: MOUNT, path: PATH, field: FIELD}}}}`"
"""What is allowed where the secret may be in Vault too."""

NOWHERE = SecretReference(SecretSource.ENV, "")
"""Stands in for a reference that can't be used."""

_NAMES = {
    # Capital letters only: a secret pasted in place of the name is then almost never taken for one.
    SecretSource.ENV: Form("a variable", "[A-Z_][A-Z0-9_]{0,127}", "capital letters, digits and `_`"),
    SecretSource.FILE: FILE,
    SecretSource.SYSTEMD: Form("a credential", r"(?!\.)[A-Za-z0-9._-]{1,100}", "letters, digits and `._-`"),
}
_IN_VAULT = {"mount": PATH, "path": PATH, "field": FIELD}


def _read_reference(node: Node) -> SecretReference:
    key, value = _only_key(node, REFERENCE_HINT)
    if key == "vault":
        raise Refused(
            "a reference to Vault, which nobody is logged in to yet", f"for this one, {REFERENCE_HINT}"
        )
    return _read_outside(key, value, REFERENCE_HINT)


def _read_credential(node: Node) -> SecretReference | VaultReference:
    key, value = _only_key(node, CREDENTIAL_HINT)
    return _read_inside(value) if key == "vault" else _read_outside(key, value, CREDENTIAL_HINT)


def _only_key(node: Node, hint: str) -> tuple[str, Node]:
    if isinstance(node, Scalar) and "${" in node.text:
        raise Refused(f"{describe(node)}; `${{...}}` is not expanded", hint)
    if not isinstance(node, Mapping):
        raise Refused(describe(node), hint)
    if len(node.names) != 1 or node.repeated:
        raise Refused(f"{describe(node)} where exactly one is expected", hint)
    ((key, value),) = node.values.items()
    return key, value


def _read_outside(key: str, value: Node, hint: str) -> SecretReference:
    if key not in set(SecretSource):
        raise Refused("a mapping with an unknown key", hint)
    source = SecretSource(key)
    return SecretReference(source, _read_name(value, _NAMES[source], hint))


def _read_inside(node: Node) -> VaultReference:
    """Return a place in Vault: three keys, all of them needed."""
    missing = [name for name in _IN_VAULT if isinstance(node, Mapping) and name not in node.names]
    if not isinstance(node, Mapping):
        raise Refused(f"{describe(node)} where a place in Vault is expected", CREDENTIAL_HINT, at=node)
    if missing:
        raise Refused(f"{describe(node)} without `{missing[0]}`", CREDENTIAL_HINT, at=node)
    if len(node.names) > len(_IN_VAULT) or node.repeated:
        raise Refused(f"{describe(node)} where three are expected", CREDENTIAL_HINT, at=node)
    mount, path, field = (
        _read_name(node.values[name], form, CREDENTIAL_HINT) for name, form in _IN_VAULT.items()
    )
    if repeats_mount(mount, path):
        raise Refused("a path that begins with its mount, or with `data/`", "leave that out", at=node)
    return VaultReference(mount=mount, path=path, field=field)


def _read_name(node: Node, form: Form, hint: str) -> str:
    """Return what names the place of a secret, or a part of it."""
    if not isinstance(node, Scalar) or is_null(node):
        raise Refused(f"{describe(node)} where a name is expected", hint, at=node)
    if "${" in node.text:
        raise Refused(f"{describe(node)}; `${{...}}` is not expanded", hint, at=node)
    if not form.fits(node.text):
        raise Refused(f"{describe(node)} that can't stand here", f"allowed: {form.rule}", at=node)
    if resembles_secret(node.text):
        raise Refused(f"{describe(node)} that looks like a secret itself", hint, at=node)
    return node.text


def _place_schema(names: dict[str, Form]) -> dict[str, Json]:
    """Return the schema of a mapping with all of these keys."""
    properties: dict[str, Json] = {
        name: {**whole(form.pattern), "not": {"type": "string", "pattern": LONG_RUN}}
        for name, form in names.items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": [*names],
        "additionalProperties": False,
    }


_OUTSIDE: list[Json] = [_place_schema({source.value: form}) for source, form in _NAMES.items()]
_INSIDE: Json = {
    "type": "object",
    "properties": {"vault": _place_schema(_IN_VAULT)},
    "required": ["vault"],
    "additionalProperties": False,
}

REFERENCE = Kind(read=_read_reference, schema={"oneOf": _OUTSIDE}, words="where the secret is kept")
CREDENTIAL = Kind(
    read=_read_credential,
    schema={"oneOf": [*_OUTSIDE, _INSIDE]},
    words="where the secret is kept, which may be in Vault",
)
