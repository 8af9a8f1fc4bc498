"""The JSON documents that commands write. Their shape is an interface: fields are added, never changed.

Times are RFC 3339 in UTC, durations are seconds, what is not known is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from rotator.cli.lines import Line, Report, Unserved, time_left
from rotator.cli.times import rfc3339
from rotator.errors import RotatorError
from rotator.inventory.fleet import Stray
from rotator.inventory.records import Trouble
from rotator.model.order import Order
from rotator.plan.actions import Adopt, Copy, Decision, Finish, Hold, Inherit, Revoke, Rotate, Wait
from rotator.reconcile import Left

FORMAT = 1


def text_of(document: Mapping[str, object]) -> str:
    """Return a document as text. Only ASCII, so that no name in it can steer a terminal."""
    return json.dumps({"format": FORMAT, **document}, indent=2)


def of_report(report: Report) -> dict[str, object]:
    """Return the document of `plan`, `status` and `once`."""
    return {
        "now": rfc3339(report.now),
        "lineages": [_line(line) for line in report.lines],
        "excluded": {
            provider: {reason.value: count for reason, count in sorted(counts.items())}
            for provider, counts in report.excluded.items()
        },
        "idle": list(report.idle),
        "unserved": [_unserved(one) for one in report.unserved],
        "strays": [of_stray(stray) for stray in report.strays],
        "uncovered": list(report.uncovered),
        "troubles": of_troubles(report.troubles),
    }


def of_troubles(troubles: tuple[Trouble, ...]) -> list[dict[str, object]]:
    """Return what kept part of the fleet from being looked at, as documents show it."""
    return [{"what": trouble.what, **of_error(trouble.error)} for trouble in troubles]


def _line(line: Line) -> dict[str, object]:
    current = line.record.current if line.record else None
    standing = line.record.standing if line.record else None
    return {
        "lineage": line.lineage,
        "provider": line.provider,
        "policy": line.policy.name,
        "phase": line.phase.value,
        "missing_key_id": line.missing_key_id,
        "key_id": line.key.key_id if line.key else None,
        "version": current.version if current else None,
        "rotation_id": current.rotation_id if current else None,
        "published_at": _instant(current.published_at if current else None),
        "expires_at": _instant(line.expires_at),
        "expires_in": _seconds(time_left(line.expires_at, line.now)),
        "latest_safe_start": _instant(line.latest_safe_start),
        "paused": (line.snapshot.paused if line.snapshot else "") or None,
        "standing": of_order(standing) if standing else None,
        "decision": _decision(line.decision) if line.decision else None,
        "done": [_decision(action) for action in line.done],
        "left": _left(line.left_because) if line.left_because else None,
        "places": [
            {
                "place": one.place.name,
                "secret_field": one.place.fields.secret,
                "present": one.present,
                "up_to_date": one.up_to_date,
            }
            for one in line.places
        ],
        "alive": _alive(line),
        "last_failure": _failure(line),
        "error": of_error(line.error) if line.error else None,
    }


def _decision(decision: Decision) -> dict[str, object]:
    """Return a decision: its name, its reason and its terms, null where it has none."""
    document: dict[str, object] = {
        "action": type(decision).__name__.lower(),
        "reason": None,
        "key_id": None,
        "until": None,
        "overrides": None,
        "detail": None,
    }
    match decision:
        case Adopt() | Inherit() | Finish():
            document["key_id"] = decision.key_id
        case Rotate():
            document |= {
                "reason": decision.reason.value,
                "key_id": decision.replaces.key_id,
                "overrides": decision.overrides.value if decision.overrides else None,
            }
        case Revoke():
            document |= {"reason": decision.reason.value, "key_id": decision.key_id}
        case Wait():
            document |= {"reason": decision.reason.value, "until": _instant(decision.until)}
        case Copy():
            document["detail"] = decision.place.name
        case Hold():
            document |= {"reason": decision.reason.value, "detail": decision.detail or None}
    return document


def _left(left: Left) -> dict[str, object]:
    return {"reason": left.reason.value, "detail": left.detail or None}


def _alive(line: Line) -> list[dict[str, object]]:
    """Return the keys that still work besides the one in use, and what keeps each alive."""
    return [
        {
            "key_id": key.key_id,
            "original": key.original,
            "ends_at": _instant(key.ends_at),
            "obstacle": key.obstacle.value if key.obstacle else None,
            "at_once": key.at_once,
        }
        for key in line.alive
    ]


def _failure(line: Line) -> dict[str, object] | None:
    failure = line.failure
    if failure is None:
        return None
    return {
        "tried": failure.tried.value,
        "what": failure.what,
        "count": failure.count,
        "failed_at": rfc3339(failure.failed_at),
        "next_try_at": rfc3339(failure.next_try_at),
    }


def _unserved(one: Unserved) -> dict[str, object]:
    return {
        "lineage": one.lineage,
        "provider": one.provider,
        "key_id": one.key.key_id,
        "created_at": rfc3339(one.key.created_at),
        "expires_at": _instant(one.key.expires_at),
        "needs_person": one.needs_person,
    }


def of_stray(stray: Stray) -> dict[str, object]:
    """Return a key that is shown and never touched, as documents show it."""
    return {
        "provider": stray.provider,
        "key_id": stray.key.key_id,
        "comment": stray.key.comment,
        "created_at": rfc3339(stray.key.created_at),
        "expires_at": _instant(stray.key.expires_at),
    }


def of_order(order: Order) -> dict[str, object]:
    """Return an order, as documents show it."""
    return {
        "kind": order.kind.value,
        "who": order.who,
        "why": order.why,
        "at": rfc3339(order.at),
        "place": order.place or None,
    }


def of_error(error: RotatorError) -> dict[str, object]:
    """Return an error, as documents show it."""
    return {"error": type(error).__name__, "text": str(error)}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
