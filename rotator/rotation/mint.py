"""Create and prove: from a written intent to a candidate whose secret is known to work.

The secret is shown once, by the answer to the create, and lives only in memory until it is published.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.errors import NotFound, PortError
from rotator.model.entry import Publication
from rotator.model.key import Key, KeyRequest, Mark
from rotator.model.reason import HoldReason
from rotator.model.record import Attempt, Record, Rights
from rotator.model.secret import Secret
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan.actions import Rotate
from rotator.policy.policy import Policy
from rotator.policy.schedule import lifetime_of_next, remembered_until
from rotator.ports import Minted, Ports
from rotator.rotation.claim import ClaimedRecord

ASK_AGAIN_AFTER = timedelta(seconds=1)
"""How long to wait between two questions whether a new key works yet."""

_STRANGE = (
    "the answer to the create names key {}, which does not carry the mark of this rotation, so it is left alone; find "
    "out who made it, and what answers in the provider's place"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A key whose secret was proven, on our clock at `proven_at`, and is not published yet."""

    attempt: Attempt
    key: Key
    secret: Secret
    proven_at: datetime

    def publication(self, previous_key_id: str | None) -> Publication:
        """Return what its publish writes, in place of the key with that id."""
        return Publication(
            rotation_id=self.attempt.rotation_id,
            secret=self.secret,
            key_id=self.key.key_id,
            previous_key_id=previous_key_id,
            expires_at=self.key.expires_at,
        )


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a new key may not be published. `hold` None: try again later with another one.

    `offered` are the rights that it has, where those are what is wrong. `ours`: it was seen to carry the mark of this
    attempt; without that it is not ours to delete, whatever the answer to the create said.
    """

    what: str
    hold: HoldReason | None = None
    offered: Rights | None = None
    ours: bool = False


def attempt_for(action: Rotate, policy: Policy, snapshot: Snapshot, ports: Ports) -> Attempt:
    """Return the attempt that an intent writes down: its base is the version that this decision saw."""
    replaced = action.replaces
    lifetime = lifetime_of_next(policy, replaced)
    accepted = snapshot.record.accepted if snapshot.record else None
    wanted = accepted or Rights(scopes=replaced.scopes, tags=replaced.tags)
    intent_at = snapshot.on_provider_clock(ports.clock.now())
    return Attempt(
        rotation_id=ports.rotation_ids.new(),
        base=snapshot.entry.version,
        intent_at=intent_at,
        comment=replaced.comment,
        asked_scopes=replaced.asked_scopes,
        expected_scopes=wanted.scopes,
        tags=replaced.tags,
        expected_tags=wanted.tags,
        lifetime=lifetime,
        overlap=policy.overlap,
        reason=action.reason,
        keep_until=remembered_until(intent_at, lifetime),
    )


async def create(attempt: Attempt, record: Record, ports: Ports) -> Minted:
    """Ask for the new key, once. Raise as `ports.Provider.create_key`."""
    mark = record.mark(ports.journal_id, attempt.rotation_id)
    request = KeyRequest(
        comment=mark.put_on(attempt.comment),
        scopes=attempt.asked_scopes,
        tags=attempt.tags,
        lifetime=attempt.lifetime,
    )
    minted = await ports.provider.create_key(request)
    ports.tell(
        Told(
            step=Step.CREATED,
            lineage=record.lineage.name,
            key_id=minted.key_id,
            rotation_id=attempt.rotation_id,
        )
    )
    return minted


async def prove(
    minted: Minted, attempt: Attempt, policy: Policy, claimed: ClaimedRecord, ports: Ports
) -> Candidate | Unfit:
    """Return the candidate once it has the same rights and its secret is accepted, or why it is unfit.

    A new key may take a while to be known everywhere, so the question is repeated until
    `prove.deadline` has passed or the process is asked to stop. Raise only when the claim can't be kept.
    """
    gives_up_at = ports.clock.monotonic() + policy.prove_deadline.total_seconds()
    mark = claimed.record.mark(ports.journal_id, attempt.rotation_id)
    ours: bool = False
    while True:
        found = await _look(minted, attempt, mark, ports)
        if isinstance(found, Candidate):
            break
        ours = ours or found.ours
        found = replace(found, ours=ours)
        if found.hold is not None:
            break
        if ports.stopping() or ports.clock.monotonic() >= gives_up_at:
            break
        await ports.clock.sleep(ASK_AGAIN_AFTER)
        await claimed.keep()
    if isinstance(found, Candidate):
        ports.tell(
            Told(
                step=Step.PROVEN,
                lineage=claimed.record.lineage.name,
                key_id=minted.key_id,
                rotation_id=attempt.rotation_id,
            )
        )
    return found


async def revoke_candidate(minted: Minted, attempt: Attempt, record: Record, ports: Ports) -> bool:
    """Delete a key that its own minter found unfit and never published.

    Only for the process that holds its secret and never sent its publish: nobody else can know that. Return
    False if it can't be deleted now; then it leaves with the previous keys.
    """
    try:
        await ports.provider.revoke_key(minted.key_id)
    except NotFound:
        pass
    except PortError:
        return False
    ports.tell(
        Told(
            step=Step.CANDIDATE_REVOKED,
            lineage=record.lineage.name,
            key_id=minted.key_id,
            rotation_id=attempt.rotation_id,
        )
    )
    return True


async def _look(minted: Minted, attempt: Attempt, mark: Mark, ports: Ports) -> Candidate | Unfit:
    """Return the candidate if the provider shows it with our mark and the right rights and accepts its secret now."""
    try:
        key = await ports.provider.get_key(minted.key_id)
    except PortError as error:
        return Unfit(str(error))
    if key.mark != mark:
        # An answer may be an older one that a proxy repeats: the key that it names may be anybody's.
        return Unfit(_STRANGE.format(key.key_id), HoldReason.UNSAFE)
    unlike = _unlike(key, attempt)
    if unlike:
        return Unfit(unlike, HoldReason.PARITY, Rights(scopes=key.scopes, tags=key.tags), ours=True)
    try:
        proof = await ports.provider.prove(minted.secret)
    except PortError as error:
        return Unfit(str(error), ours=True)
    if not proof.accepted:
        return Unfit("the provider does not accept the new secret", ours=True)
    if proof.key_id not in (None, minted.key_id):
        return Unfit(f"the new secret is that of key {proof.key_id}", HoldReason.UNSAFE, ours=True)
    return Candidate(attempt=attempt, key=key, secret=minted.secret, proven_at=ports.clock.now())


def _unlike(key: Key, attempt: Attempt) -> str:
    """Return in which rights `key` differs from the key it replaces, empty when in none."""
    differences = [
        f"{what} {', '.join(sorted(names))}"
        for what, names in (
            ("lacks scopes", attempt.expected_scopes - key.scopes),
            ("has extra scopes", key.scopes - attempt.expected_scopes),
            ("lacks tags", attempt.expected_tags - key.tags),
            ("has extra tags", key.tags - attempt.expected_tags),
        )
        if names
    ]
    return "; ".join(differences)
