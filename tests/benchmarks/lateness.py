"""How late keys that fell due were replaced: by when the provider made their successors, not by what the service says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.model.key import without_mark
from rotator.model.lineage import Lineage
from rotator.model.record import KnownKey
from rotator.policy.policy import Policy
from rotator.policy.schedule import due
from rotator.simulator.world import SimulatedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A key that the scene began with, by the name of its entry, and when its successor was made."""

    slug: str
    project_id: str
    key_id: str
    created_at: datetime
    expires_at: datetime
    replaced_at: datetime

    def late(self, policy: Policy) -> timedelta:
        """Return how long after it was due it was replaced."""
        lineage = Lineage(
            provider="asr",
            project_id=self.project_id,
            namespace="",
            mount="secret",
            path=f"bench/{self.slug}",
        )
        key = KnownKey(
            key_id=self.key_id,
            comment="",
            asked_scopes=frozenset(),
            scopes=frozenset(),
            tags=frozenset(),
            created_at=self.created_at,
            expires_at=self.expires_at,
            member_id=None,
        )
        first = due(policy, lineage.lineage_id, key)
        if first is None:
            raise SystemExit("a key of the scene is never due: no figure")
        return self.replaced_at - first.at


def replaced(begun: Iterable[SimulatedKey], now: Iterable[SimulatedKey]) -> list[Replaced]:
    """Return those of the keys of the beginning that have a successor among those of now."""
    successors: dict[tuple[str, str], datetime] = {}
    for key in now:
        comment = without_mark(key.comment)
        if comment != key.comment:
            of = key.project_id, comment
            successors[of] = min(key.created_at, successors.get(of, key.created_at))
    return [
        Replaced(
            slug=key.comment.replace(" ", "-"),
            project_id=key.project_id,
            key_id=key.key_id,
            created_at=key.created_at,
            expires_at=key.expires_at,
            replaced_at=successors[key.project_id, key.comment],
        )
        for key in begun
        if key.expires_at is not None and (key.project_id, key.comment) in successors
    ]
