"""What names and paths may look like. One list of allowed characters for all that ends up in a Vault path."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rotator.model.entry import ROTATION_ID_FIELD


@dataclass(frozen=True, slots=True)
class Form:
    """What a text may look like: a `pattern` for Python and for JSON Schema, and the same as a `rule` in words."""

    noun: str
    pattern: str
    rule: str

    def fits(self, text: str) -> bool:
        """Return whether the whole of `text` looks so."""
        return re.fullmatch(self.pattern, text) is not None


SEGMENT_CHARACTERS = "A-Za-z0-9._@:+-"
NO_DOTS = r"(?!\.{1,2}(?:/|$))"
"""Stands before a segment of a path: it is neither `.` nor `..`."""

_SEGMENT = f"{NO_DOTS}[{SEGMENT_CHARACTERS}]+"

PATH = Form(
    "a path in Vault",
    f"(?=.{{1,400}}$){_SEGMENT}(?:/{_SEGMENT})*",
    "segments of letters, digits and `._@:+-`, joined by `/`; none is `.` or `..`",
)
"""A mount, a prefix or a path in Vault."""

NAME = Form(
    "a name", "[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "up to 63 letters, digits and `._-`, a letter or digit first"
)
"""A policy, a provider, a role in Vault. Such a name can be a segment of a path."""

INSTANCE = Form("the name of an installation", "[a-z0-9-]{1,40}", "up to 40 small letters, digits and `-`")
"""An installation."""

VENDOR_ID = Form("an id", "[0-9A-Za-z-]{1,64}", "up to 64 letters, digits and `-`")
"""A vendor's id of a project or a key. Loose: the vendor knows better."""

FIELD = Form("a field", "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "up to 100 letters, digits and `_.-`")
"""A field of an entry in Vault."""

FIELD_WE_WRITE = Form(
    "a field of ours",
    f"(?!{ROTATION_ID_FIELD}$){FIELD.pattern}",
    f"{FIELD.rule}; not `{ROTATION_ID_FIELD}`, which is written anyway, under this fixed name",
)
"""A field that an operator may name for what we write."""

LISTEN = Form(
    "an address to listen at",
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):(?!0+$)[0-9]{1,5}",
    "`HOST:PORT`, such as `127.0.0.1:9464`, `0.0.0.0:9464` for all of IPv4, `[::]:9464` for all; not a port of 0",
)
"""Where probes and metrics are served."""

FILE = Form("a file", r"/[^\x00-\x1f\x7f]{1,1023}", "an absolute path")
"""A file of this machine."""

MOUNT_OF_LOGIN = Form(
    "a path below `auth/`", f"(?!auth/){PATH.pattern}", f"{PATH.rule}; without the `auth/` of Vault's API"
)
"""Where a way to log in is enabled in Vault."""

_BELOW = r"(?!\.\.(?:/|$))[^/\\\x00-\x1f\x7f]+"

INCLUDE = Form(
    "a path or a glob of files",
    rf"(?=.{{1,400}}$)(?!~)(?!.*\*\*){_BELOW}(?:/{_BELOW})*",
    "a path or a glob (`*`, `?`, `[...]`) below this file's folder, without `..` and `**`; a file that is elsewhere is "
    "named with a further `--config`",
)
"""Files to be included. All that an installation reads is in one folder, to be looked through, mounted and watched as one."""

LONG_RUN = "[A-Za-z0-9]{32,}"
_RUN = re.compile(r"[A-Za-z0-9]{20,}")


def repeats_mount(mount: str, path: str) -> bool:
    """Return whether a path in Vault begins with what stands elsewhere: its mount, or `data/` of Vault's API."""
    return path.startswith(("data/", f"{mount}/"))


def resembles_secret(text: str) -> bool:
    """Return whether `text` is so like a vendor's secret that it names no place where one is kept."""
    return re.search(LONG_RUN, text) is not None


def may_hold_secret(text: str) -> bool:
    """Return whether a part of `text` could be a secret. Strict: names that nobody knows are not shown then."""
    return any(not run.isalpha() for run in _RUN.findall(text))
