"""Errors as people need them: what happened, why, and what to do. Never a traceback for what can be expected."""

from __future__ import annotations

import logging
import re

from rotator.cli import exits
from rotator.cli.text import Unwritten, complain
from rotator.errors import (
    Ambiguous,
    Conflict,
    Denied,
    InvariantViolation,
    LostJournal,
    NotFound,
    PolicyError,
    PortError,
    RotatorError,
    Throttled,
    TooNew,
    Unavailable,
)
from rotator.policy.settings import origin_of

_NO_PROVIDER_SAYS = re.compile(r"3[0-9]{2}|40[1347]")
"""An answer without the provider's own code for what is wrong, which it gives with each of these statuses."""


NEWER = "run a rotator that knows the format that is named, on every replica; until then it is left alone"

LOST = (
    "see that `instance` and `vault.journal` are what they were, and bring it back from a backup of Vault; if it is gone "
    "for good, `rotator check --rebuild-journal` shows what can be rebuilt, and asks"
)


class Failure(RotatorError):
    """A command could not be carried out. `what`, `why` and `cure` are sentences without a full stop."""

    def __init__(self, what: str, *, why: str, cure: str, status: int = exits.FAILED) -> None:
        """Keep the three parts, and the status to end with."""
        super().__init__(what)
        self.what = what
        self.why = why
        self.cure = cure
        self.status = status


def of_vault(error: PortError, address: str) -> Failure:
    """Return the failure of a command that could not even begin, because Vault did not let it."""
    vault = f"Vault at {origin_of(address)}"
    match error:
        case PortError(operation="begin journal"):
            what = "no journal is begun"
            cure = (
                "mend the credential that is named above, or its rights, and run it again"
                if isinstance(error, Denied)
                else "run it again when what is named above can be reached"
            )
        case Unavailable():
            what = f"Vault can't be reached at {origin_of(address)}"
            cure = (
                "check `vault.address` (or VAULT_ADDR), `vault.ca_cert`, that Vault runs and is unsealed, and the "
                "network in between; then run it again"
            )
        case Throttled():
            what, cure = f"{vault} limits our rate", "run it again later, or raise the quota"
        case Denied(operation="log in with"):
            what = f"{vault} does not let us log in"
            cure = "mend what is named above, at `vault.auth` or in Vault, or give another credential"
        case Denied():
            what = f"{vault} refuses our token"
            cure = "let the policies of our token, or of the role we log in with, allow what is named above"
        case Ambiguous() | Conflict():
            what, cure = f"{vault} gave no clear answer to a write", "run it again: it looks first"
        case TooNew():
            what, cure = f"the journal in {vault} was written by a newer rotator", NEWER
        case LostJournal():
            what, cure = f"the journal in {vault} was lost", LOST
        case _:
            what = f"{vault} has something else there than rotator needs"
            cure = "check `vault.journal`, `vault.namespace` and `instance` in the policy file"
    return Failure(what, why=str(error), cure=cure, status=status_of(error))


def why_of(error: RotatorError) -> str:
    """Return what went wrong, in one line and without what to do about it."""
    if isinstance(error, PolicyError):
        return "; ".join(f"{problem.file}: {problem.what}" for problem in error.problems)
    return str(error)


def cure_of(error: RotatorError) -> str:
    """Return what a person can do about an error that stopped a part of the work."""
    match error:
        case PolicyError():
            return (
                "; ".join(problem.hint for problem in error.problems if problem.hint) or "mend what is named"
            )
        case PortError(detail=detail) if _NO_PROVIDER_SAYS.fullmatch(detail):
            return (
                "see that `base_url` leads to the provider, and that no proxy is in between: a proxy or another "
                "server answered"
            )
        case Unavailable():
            return (
                "check the address, that the other side runs, and the network in between; it is tried again"
            )
        case Throttled():
            return "nothing, if it passes; else make fewer calls, or ask for a higher limit"
        case Denied():
            return "give our credential the right that is missing, or a good credential"
        case Ambiguous() | Conflict():
            return "nothing: the next run looks at what happened and goes on from there"
        case NotFound():
            return "check the project's id and the base URL"
        case TooNew() | LostJournal():
            return NEWER if isinstance(error, TooNew) else LOST
        case InvariantViolation():
            return "report it, it is a bug; the other lineages go on"
        case _:
            return "mend what is named; it is looked at again at each run"


def status_of(error: RotatorError) -> int:
    """Return the status that an error gives a command."""
    match error:
        case Failure():
            return error.status
        case PolicyError():
            return exits.BAD_POLICY
        case Unavailable() | Throttled():
            return exits.TRY_AGAIN
        case _:
            return exits.FAILED


def tell(error: RotatorError) -> int:
    """Tell a person of an error that ended the command (what, why, what to do), and return the status to end with."""
    if isinstance(error, PolicyError):
        complain("\n".join(str(problem) for problem in error.problems))
    else:
        _complain(*_parts(error))
    return status_of(error)


def tell_trouble(what: str, error: RotatorError) -> None:
    """Tell of a part of the work that could not be done, while the rest goes on."""
    _complain(f"{what} could not be looked at", why_of(error), cure_of(error))


def _parts(error: RotatorError) -> tuple[str, str, str]:
    match error:
        case Failure():
            return error.what, error.why, error.cure
        case Unwritten():
            return str(error), error.why, "make room, or send standard output elsewhere, and run it again"
        case InvariantViolation():
            return "an unsafe step was refused", str(error), "report it, it is a bug; nothing was done"
        case PortError():
            return (
                f"could not {error.operation} {error.target}",
                error.detail or type(error).__name__,
                cure_of(error),
            )
        case _:
            return str(error), type(error).__name__, cure_of(error)


def _complain(what: str, why: str, cure: str) -> None:
    complain(f"rotator: {what}\n  why: {why}\n  do:  {cure}")


def tell_bug(error: Exception) -> int:
    """Tell of an exception that nobody expected, and show the traceback to whoever asked for debug logs."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" at {frame.tb_frame.f_code.co_qualname}, line {frame.tb_lineno}" if frame else ""
    _complain(
        "a bug ended the command",
        f"{type(error).__name__}{place}",
        "report it, please; with --log-level debug it says where from",
    )
    if logging.getLogger("rotator").isEnabledFor(logging.DEBUG):
        from rotator import log  # noqa: PLC0415 (structlog is slow to load)

        log.get("rotator").debug("bug", exc_info=error)
    return exits.FAILED
