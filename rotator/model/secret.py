"""The opaque type that every secret value travels in."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A secret value that does not show itself.

    No repr, str, format, pickle, copy, hash or ordering gives the value away; `==` is refused so that no
    assertion rewriting prints it. `reveal` is called in adapters only, at the moment the value is sent.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        """Wrap `value`. Raise ValueError when it is empty, has white space around it, or control characters."""
        if not value or value != value.strip() or not value.isprintable():
            message = "a secret is empty, has white space around it, or holds control characters"
            raise ValueError(message)
        self.__value = value

    def reveal(self) -> str:
        """Return the value. For adapters, at the last moment."""
        return self.__value

    def matches(self, other: Secret) -> bool:
        """Return whether both hold the same value, in constant time."""
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __repr__(self) -> str:
        """Return a text without the value."""
        return "Secret(hidden)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return a text without the value, whatever the format asks for."""
        return repr(self)

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: use `matches`."""
        message = "secrets are compared with matches()"
        raise TypeError(message)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "a secret can't be pickled or copied"
        raise TypeError(message)
