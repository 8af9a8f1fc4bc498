"""A short hash of what a policy says, by which a record knows that a person has changed it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import timedelta

from rotator.model.entry import FieldNames
from rotator.policy.policy import DestinationTemplate, Exempt, Freeze, Policy, Select, Share, Window

_NOT_BEHAVIOUR = frozenset({"name", "fingerprint"})


def fingerprint(policy: Policy) -> str:
    """Return 16 hex digits over every option of `policy` but its name, which changes nothing that is done.

    The order in which a person wrote tags, scopes, globs, keys, windows or freezes does not count.
    """
    options = {
        field.name: getattr(policy, field.name)
        for field in dataclasses.fields(policy)
        if field.name not in _NOT_BEHAVIOUR
    }
    options["keys"] = sorted(policy.keys)
    options["providers"] = sorted(policy.providers)
    options["windows"] = sorted(map(_window, policy.windows))
    options["freezes"] = sorted(map(_freeze, policy.freezes))
    text = json.dumps(options, sort_keys=True, separators=(",", ":"), default=_canonical)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: object) -> object:
    match value:
        case Share(percent):
            return f"{float(percent)}%"
        case timedelta():
            return f"{value.total_seconds()}s"
        case Select():
            return {**_chosen(value), "except": _chosen(value.but)}
        case DestinationTemplate() | FieldNames():
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        case _:
            message = f"no canonical form of {type(value).__name__}"
            raise TypeError(message)


def _window(window: Window) -> tuple[str, float, str]:
    return (window.cron, window.length.total_seconds(), window.zone.key)


def _freeze(freeze: Freeze) -> tuple[str, str, str]:
    return (freeze.starts_at.isoformat(), freeze.ends_at.isoformat(), freeze.why)


def _chosen(by: Select | Exempt) -> dict[str, list[str]]:
    return {"comment": sorted(by.comment), "tags": sorted(by.tags), "scopes": sorted(by.scopes)}
