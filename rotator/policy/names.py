"""What names and paths may look like. One list of allowed characters for all that ends up in a Vault path."""

from __future__ import annotations

import re

_SEGMENT = re.compile(r"[A-Za-z0-9._@:+-]+")
_LONGEST_PATH = 400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_INSTANCE = re.compile(r"[a-z0-9-]{1,40}")
_VENDOR_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_FIELD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

_RUN = re.compile(r"[A-Za-z0-9]{20,}")
_SECRET_RUN = re.compile(r"[A-Za-z0-9]{32,}")

PATH_RULE = "segments of letters, digits and `._@:+-`, joined by `/`; none is `.` or `..`"
NAME_RULE = "up to 63 letters, digits and `._-`, a letter or digit first"
INSTANCE_RULE = "up to 40 small letters, digits and `-`"
VENDOR_ID_RULE = "up to 64 letters, digits and `-`"
FIELD_RULE = "up to 100 letters, digits and `_.-`"


def is_path(text: str) -> bool:
    """Return whether `text` can be a mount, a prefix or a path in Vault."""
    return len(text) <= _LONGEST_PATH and all(
        _SEGMENT.fullmatch(part) and part not in (".", "..") for part in text.split("/")
    )


def is_name(text: str) -> bool:
    """Return whether `text` can name a policy or a provider: such a name can be a segment of a path."""
    return _NAME.fullmatch(text) is not None


def is_instance(text: str) -> bool:
    """Return whether `text` can name an installation."""
    return _INSTANCE.fullmatch(text) is not None


def is_vendor_id(text: str) -> bool:
    """Return whether `text` can be a vendor's id of a project or a key. Loose: the vendor knows better."""
    return _VENDOR_ID.fullmatch(text) is not None


def is_field(text: str) -> bool:
    """Return whether `text` can name a field of a Vault entry."""
    return _FIELD.fullmatch(text) is not None


def resembles_secret(text: str) -> bool:
    """Return whether `text` is so like a vendor's secret that it names no place where one is kept."""
    return _SECRET_RUN.search(text) is not None


def may_hold_secret(text: str) -> bool:
    """Return whether a part of `text` could be a secret. Strict: names that nobody knows are not shown then."""
    return any(not run.isalpha() for run in _RUN.findall(text))
