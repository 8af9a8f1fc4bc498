"""Seeded bugs: small changes to the program, each of which breaks a promise and must be seen to.

A search that finds nothing proves little unless it finds these. Where the program has two defences against
the same thing, a seed takes both away, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.core.exploration.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Edit:
    """A text in one file of the program, which occurs there exactly once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One seeded bug: what is wrong in plain words, the promise it breaks, its edits, and where it is looked for.

    `bounds` None: it is looked for by `sweep`, which judges what is told.
    """

    name: str
    promise: str
    what: str
    edits: tuple[Edit, ...]
    bounds: Bounds | None

    @property
    def file(self) -> str:
        """The first file that is changed."""
        return self.edits[0].file


PUBLISH, MINT, ROTATE = (
    "rotator/rotation/publish.py",
    "rotator/rotation/mint.py",
    "rotator/rotation/rotate.py",
)
RETIRE, BOOKKEEPING = "rotator/rotation/retire.py", "rotator/rotation/bookkeeping.py"
COPY, COPIES = "rotator/rotation/copy.py", "rotator/plan/copies.py"
CLAIM, RECONCILE = "rotator/rotation/claim.py", "rotator/reconcile.py"
RULES, FACTS, INVARIANTS = "rotator/plan/rules.py", "rotator/plan/facts.py", "rotator/plan/invariants.py"
OBSERVE, SCHEDULE = "rotator/inventory/observe.py", "rotator/policy/schedule.py"
GIVEN, HANDED_OVER = "rotator/rotation/orders.py", "rotator/rotation/handed_over.py"
KEY, SECRET, RECORD = "rotator/model/key.py", "rotator/model/secret.py", "rotator/model/record.py"

WORKING_SECRET = (
    Seed(
        name="publish_before_proving",
        promise="P1",
        what="A new secret is published without a call that shows that it works.",
        edits=(
            Edit(
                MINT,
                "proof = await ports.provider.prove(minted.secret)",
                "from rotator.ports import Proof\n\n        proof = Proof(accepted=True, key_id=minted.key_id)",
            ),
        ),
        bounds=Bounds(ticks=0),
    ),
    Seed(
        name="candidate_revoked_after_its_publish_was_sent",
        promise="P1",
        what="When a publish goes wrong, its key is deleted at once, although the publish may yet be committed.",
        edits=(
            Edit(
                ROTATE,
                "        confirmed = await _publish(found, action, claimed.record, ports)\n    except PortError as error:\n",
                "        confirmed = await _publish(found, action, claimed.record, ports)\n    except PortError as error:\n"
                "        await mint.revoke_candidate(minted, attempt, claimed.record, ports)\n",
            ),
        ),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="served_secret_not_tried_before_a_deletion",
        promise="P1",
        what="A key is deleted without looking whether Vault serves the working secret of another one.",
        edits=(Edit(INVARIANTS, "if not serves_current(snapshot):", "if False:"),),
        bounds=Bounds(ticks=2, acts=1, switches=1, world="imported"),
    ),
    Seed(
        name="refused_secret_left_in_vault",
        promise="P1",
        what="A served secret that the provider refuses is replaced only when its key is due.",
        edits=(Edit(RULES, "    served_refused,\n", ""),),
        bounds=Bounds(ticks=0, acts=1),
    ),
    Seed(
        name="freeze_outlasts_the_expiry",
        promise="P1",
        what="A key whose expiry comes near waits for the end of a freeze however long that lasts.",
        edits=(Edit(SCHEDULE, "if safe_until is not None and safe_until <= at:", "if False:"),),
        bounds=Bounds(ticks=2, world="frozen"),
    ),
)

NOTHING_LOST = (
    Seed(
        name="unanswered_create_taken_for_refused",
        promise="P2",
        what="After a create that was not answered its attempt is withdrawn, although its key may exist.",
        edits=(
            Edit(ROTATE, "    except Ambiguous as error:\n", "    except NotImplementedError as error:\n"),
        ),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="unknown_fields_dropped",
        promise="P2",
        what="A record of a newer version is written again in our own format, without what we don't know of it.",
        edits=(
            Edit(
                RECORD,
                "replace(record, format=max(record.format, formats.WRITTEN))",
                "replace(record, format=1)",
            ),
            Edit(
                RECORD,
                'return f"{text[:-1]},{record.unknown[1:]}" if record.unknown else text',
                "return text",
            ),
        ),
        bounds=Bounds(ticks=0),
    ),
    Seed(
        name="no_intent",
        promise="P2",
        what="A key is created before its rotation id stands in the journal.",
        edits=(
            Edit(
                ROTATE,
                "await claimed.write(bookkeeping.intended(claimed.record, attempt))",
                "await claimed.write(claimed.record)",
            ),
        ),
        bounds=Bounds(ticks=0),
    ),
    Seed(
        name="unanswered_intent_believed",
        promise="P2",
        what="An intent whose write was not answered is taken for written.",
        edits=(
            Edit(
                CLAIM,
                "        self.version = await self._ports.journal.write(record, base=self.version)\n",
                "        from rotator.errors import Ambiguous\n\n"
                "        try:\n"
                "            self.version = await self._ports.journal.write(record, base=self.version)\n"
                "        except Ambiguous:\n"
                "            self.version += 1\n",
            ),
        ),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="attempts_forgotten",
        promise="P2",
        what="After a publish the record forgets all earlier attempts, whose keys may still appear.",
        edits=(
            Edit(
                BOOKKEEPING,
                "        previous=previous,\n",
                "        previous=previous,\n        attempts=(),\n",
            ),
        ),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="create_retried_blindly",
        promise="P2",
        what="A create that was not answered is sent again, and once one key is published no other is looked for.",
        edits=(
            Edit(
                ROTATE,
                "    except Ambiguous as error:\n"
                "        await claimed.fail(action.reason, error, policy)\n"
                "        raise\n",
                "    except Ambiguous:\n        return await mint.create(attempt, claimed.record, ports)\n",
            ),
            Edit(
                FACTS,
                "and made_by(key, attempt, snapshot.management_member_id)",
                "and attempt.rotation_id not in {r.rotation_id for r in snapshot.record.history}",
            ),
        ),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="partial_list_believed",
        promise="P2",
        what="A key counts as gone when any list lacks it, even one that shows only a part.",
        edits=(
            Edit(
                KEY,
                "        if served_key_id is not None and self.shows(served_key_id):\n            return True\n",
                "        return True\n",
            ),
        ),
        bounds=Bounds(ticks=0, acts=1, world="imported"),
    ),
    Seed(
        name="list_of_our_own_keys_believed",
        promise="P2",
        what="After a 404, another member's key counts as gone when a list shows the keys of our own member.",
        edits=(
            Edit(
                RETIRE,
                "if not deleted and _member_of(key_id, fresh) != fresh.management_member_id:",
                "if False:",
            ),
        ),
        bounds=Bounds(ticks=0, acts=1, world="imported"),
    ),
    Seed(
        name="404_taken_for_gone",
        promise="P2",
        what="A key counts as gone as soon as its deletion is answered with 404.",
        edits=(
            Edit(
                RETIRE,
                "    await _see_it_gone(key_id, fresh, ports, deleted=deleted)\n",
                "    if deleted:\n        await _see_it_gone(key_id, fresh, ports, deleted=deleted)\n",
            ),
        ),
        bounds=Bounds(ticks=0, acts=1, world="imported"),
    ),
    Seed(
        name="one_deletion_that_fails_stops_all",
        promise="P2",
        what="The same key is tried first each time, so that one that can't be deleted keeps all later ones alive.",
        edits=(Edit(RULES, "found[failures % len(found)]", "found[0]"),),
        bounds=Bounds(ticks=0, acts=1, world="imported"),
    ),
)

NOTHING_EARLY = (
    Seed(
        name="no_read_back",
        promise="P3",
        what="A publish that was not answered is taken for done, and the overlap runs while Vault serves the old key.",
        edits=(
            Edit(
                PUBLISH,
                "        read = await ports.destinations.read(there, fields, at_least=version)\n",
                "        return Confirmed(version=version, at=ports.clock.now(), deletion_at=deletion_at)\n",
            ),
        ),
        bounds=Bounds(ticks=2, faults=1, world="imported"),
    ),
    Seed(
        name="base_not_kept",
        promise="P3",
        what="An orphan joins the previous keys whatever its base, although its publish may still be under way.",
        edits=(Edit(RULES, "if record.closed(attempt) or attempt.key_id == key.key_id:", "if attempt:"),),
        bounds=Bounds(ticks=4, deaths=1),
    ),
    Seed(
        name="orphan_revoked_on_sight",
        promise="P3",
        what="An orphan is deleted as soon as it is seen, although its publish may still be under way.",
        edits=(
            Edit(RULES, "if record.closed(attempt) or attempt.key_id == key.key_id:", "if attempt:"),
            Edit(
                BOOKKEEPING,
                "        overlap=attempt.overlap,\n        expires_at=key.expires_at,\n",
                "        overlap=attempt.overlap * 0,\n        expires_at=key.expires_at,\n",
            ),
        ),
        bounds=Bounds(ticks=2, deaths=1),
    ),
    Seed(
        name="revoke_by_age",
        promise="P3",
        what="The overlap is counted from the creation of the old key.",
        edits=(
            Edit(
                INVARIANTS,
                "    ends = overlap_ends(terms)\n    if ends is None or",
                "    seen = snapshot.key(terms.key_id if isinstance(terms, Previous) else terms.key.key_id)\n"
                "    ends = seen.created_at + terms.overlap if seen and terms.overlap else None\n"
                "    if ends is None or",
            ),
        ),
        bounds=Bounds(ticks=0, world="imported"),
    ),
    Seed(
        name="overlap_from_mint",
        promise="P3",
        what="The overlap is counted from the intent instead of the confirmed publish.",
        edits=(Edit(ROTATE, "        at=confirmed.at,\n", "        at=attempt.intent_at,\n"),),
        bounds=Bounds(ticks=2, switches=1, world="imported"),
    ),
    Seed(
        name="old_proof_trusted",
        promise="P3",
        what="A deletion is sent however long ago the served secret was looked at.",
        edits=(Edit(INVARIANTS, "PROOF_LASTS = timedelta(seconds=5)", "PROOF_LASTS = timedelta(days=365)"),),
        bounds=Bounds(ticks=3, switches=1, world="imported"),
    ),
    Seed(
        name="clocks_not_compared",
        promise="P3",
        what="An overlap is believed to be over because answers of Vault carry a wrong time.",
        edits=(Edit(INVARIANTS, "None if clocks_agree(snapshot) else Obstacle.CLOCKS_DIFFER", "None"),),
        bounds=Bounds(ticks=0, faults=2, world="imported"),
    ),
    Seed(
        name="original_revoked_without_release",
        promise="P3",
        what="A key whose secret Vault never held is deleted after the overlap, without an order.",
        edits=(
            Edit(INVARIANTS, "None if released(terms, snapshot, now) else Obstacle.NOT_RELEASED", "None"),
        ),
        bounds=Bounds(ticks=0),
    ),
)

NOTHING_FOREIGN = (
    Seed(
        name="deleted_by_the_answer_to_a_create",
        promise="P1",
        what="A key that could not be looked at is deleted, for the answer to the create named it.",
        edits=(Edit(ROTATE, "    if unfit.ours and not await", "    if not await"),),
        bounds=Bounds(ticks=0, faults=2, world="imported"),
    ),
    Seed(
        name="mark_of_a_new_key_not_looked_at",
        promise="P3",
        what="The key that the answer to a create names is published, whatever mark it has.",
        edits=(Edit(MINT, "    if key.mark != mark:\n", "    if False:\n"),),
        bounds=Bounds(ticks=2, faults=1, world="imported"),
    ),
    Seed(
        name="foreign_id_taken_by_its_mark",
        promise="P4",
        what="Any key with our mark is taken for ours, although a person may have copied the comment.",
        edits=(Edit(FACTS, "            and made_by(key, attempt, snapshot.management_member_id)\n", ""),),
        bounds=Bounds(ticks=0, acts=1),
    ),
    Seed(
        name="marked_key_of_another_member_taken",
        promise="P4",
        what="A marked key is taken for ours although another member made it.",
        edits=(Edit(FACTS, "        and key.member_id == management_member_id\n", ""),),
        bounds=Bounds(ticks=0, acts=1),
    ),
    Seed(
        name="marked_key_with_other_rights_taken",
        promise="P4",
        what="A marked key is taken for ours although it has other rights than were asked for.",
        edits=(
            Edit(FACTS, "        and key.scopes in (attempt.asked_scopes, attempt.expected_scopes)\n", ""),
        ),
        bounds=Bounds(ticks=0, acts=1),
    ),
    Seed(
        name="marked_key_from_another_day_taken",
        promise="P4",
        what="A marked key is taken for ours however long after its intent it was made.",
        edits=(Edit(FACTS, "earliest <= key.created_at <= latest", "earliest <= key.created_at"),),
        bounds=Bounds(ticks=3, acts=1),
    ),
    Seed(
        name="management_key_revoked",
        promise="P4",
        what="The management key in use is deleted like any other.",
        edits=(
            Edit(
                INVARIANTS,
                "snapshot.management_key_id in (None, key_id)",
                "snapshot.management_key_id is None",
            ),
        ),
        bounds=Bounds(ticks=0, acts=1, world="own"),
    ),
    Seed(
        name="persons_secret_written_over",
        promise="P4",
        what="A refused secret is replaced although a person may have put it there.",
        edits=(Edit(RULES, "    written_again,\n", ""),),
        bounds=Bounds(ticks=0, acts=1),
    ),
    Seed(
        name="occupied_destination_written_over",
        promise="P4",
        what="A new lineage is taken in, and published, over a secret that is nobody's (both checks are gone).",
        edits=(
            Edit(RULES, "    if not entry.has_secret:\n", "    if policy:\n"),
            Edit(RULES, "if entry.has_secret and not unfinished else None", "if False else None"),
            Edit(RULES, "    written_again,\n", ""),
        ),
        bounds=Bounds(ticks=0, world="occupied"),
    ),
)

SAME_RIGHTS = (
    Seed(
        name="parity_not_checked",
        promise="P5",
        what="A replacement is published whatever its rights are.",
        edits=(Edit(MINT, "    if unlike:\n", "    if False:\n"),),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="tags_not_compared",
        promise="P5",
        what="A replacement is published without the tags of the old key.",
        edits=(Edit(MINT, '            ("lacks tags", attempt.expected_tags - key.tags),\n', ""),),
        bounds=Bounds(ticks=0, faults=1),
    ),
    Seed(
        name="extra_rights_let_through",
        promise="P5",
        what="A replacement is published with more scopes than the old key had.",
        edits=(Edit(MINT, '            ("has extra scopes", key.scopes - attempt.expected_scopes),\n', ""),),
        bounds=Bounds(ticks=0, faults=1),
    ),
)

ONE_AT_A_TIME = (
    Seed(
        name="publish_at_latest_version",
        promise="P6",
        what="A publish is sent at the version that the entry has just then, not at the base of its intent.",
        edits=(
            Edit(
                PUBLISH,
                "fields, publication, base=base)",
                "fields, publication, base=(await ports.destinations.read(there, fields)).entry.version)",
            ),
        ),
        bounds=Bounds(ticks=1, switches=1, processes=2),
    ),
    Seed(
        name="conflict_answered_with_a_newer_base",
        promise="P6",
        what="A publish that lost against another one is sent again at the version that won.",
        edits=(
            Edit(
                PUBLISH,
                '            raise Conflict("publish", there.name, f"the entry is at version {read.entry.version}")\n',
                "            base = read.entry.version\n",
            ),
        ),
        bounds=Bounds(ticks=1, switches=1, processes=2),
    ),
)

NO_LEAK = (
    Seed(
        name="secret_shows_itself",
        promise="P7",
        what="The text of a secret, as a log or a traceback would print it, is its value.",
        edits=(Edit(SECRET, 'return "Secret(hidden)"', "return self.__value"),),
        bounds=None,
    ),
    Seed(
        name="failure_names_the_secret",
        promise="P7",
        what="The reason of a failure, which is told and recorded, quotes the secret that was refused.",
        edits=(
            Edit(
                MINT,
                'Unfit("the provider does not accept the new secret", ours=True)',
                'Unfit(f"the provider does not accept {minted.secret.reveal()}", ours=True)',
            ),
        ),
        bounds=None,
    ),
)

NO_SILENCE = (
    Seed(
        name="hold_not_told",
        promise="P8",
        what="A lineage is held and nobody is told.",
        edits=(
            Edit(
                RECONCILE,
                "if last is not None and isinstance(hold := last.stands, Hold):",
                "if last is None and isinstance(hold := last, Hold):",
            ),
        ),
        bounds=None,
    ),
    Seed(
        name="failure_not_told",
        promise="P8",
        what="A reconcile ends in an error and nobody is told.",
        edits=(
            Edit(
                RECONCILE,
                "ports.tell(Told(step=Step.FAILED, lineage=assignment.lineage.name, detail=str(error)))",
                "pass",
            ),
        ),
        bounds=None,
    ),
    Seed(
        name="waits_for_ever_for_an_unlisted_key",
        promise="P8",
        what="An adopted key that is not listed is tried again and again, neither rotated nor held.",
        edits=(Edit(RULES, "return None if snapshot.key(served.key_id) is None else Adopt", "return Adopt"),),
        bounds=Bounds(ticks=0, acts=2),
    ),
)

ORDERS = (
    Seed(
        name="emergency_revokes_before_its_publish",
        promise="P3",
        what="An emergency takes the terms of all earlier keys away when it is ordered, and rotates last.",
        edits=(
            Edit(
                GIVEN,
                "        standing=record.standing if stands else order,\n",
                "        standing=record.standing if stands else order,\n"
                "        previous=tuple(replace(one, at_once=True) for one in record.previous),\n"
                "        originals=tuple(replace(one, at_once=True) for one in record.originals),\n",
            ),
            Edit(RULES, "    rotate_when_ordered,\n", ""),
        ),
        bounds=Bounds(ticks=0, orders=1),
    ),
    Seed(
        name="emergency_ends_a_later_overlap",
        promise="P3",
        what="The key that an emergency published has no overlap either when it is replaced itself.",
        edits=(
            Edit(
                BOOKKEEPING,
                "    if attempt.reason is RotateReason.EMERGENCY:\n",
                "    if RotateReason.EMERGENCY in (attempt.reason, *(one.reason for one in record.history)):\n",
            ),
        ),
        bounds=Bounds(ticks=2, orders=1),
    ),
    Seed(
        name="emergency_carried_out_by_any_key",
        promise="P8",
        what="A key that was made before an emergency was ordered, and is published after, ends it.",
        edits=(
            Edit(
                BOOKKEEPING,
                "    if published is RotateReason.EMERGENCY:\n",
                "    if published:\n",
            ),
        ),
        bounds=Bounds(ticks=1, faults=1, orders=1),
    ),
    Seed(
        name="forgotten_lineage_acted_on",
        promise="P4",
        what="A lineage is rotated although a person told us to leave it alone.",
        edits=(Edit(RULES, "    forgotten,\n", ""),),
        bounds=Bounds(ticks=0, orders=1),
    ),
    Seed(
        name="paused_lineage_acted_on",
        promise="P4",
        what="What a person paused is not read again before a lineage is acted on.",
        edits=(
            Edit(
                OBSERVE,
                'return pause_of(names, control.pauses) if control else ""',
                'return ""',
            ),
        ),
        bounds=Bounds(ticks=0, orders=1),
    ),
    Seed(
        name="import_without_proof",
        promise="P1",
        what="A secret that was handed over is published without asking the provider whose it is.",
        edits=(
            Edit(
                HANDED_OVER,
                "proven_at = await _proven(secret, key, started, ports)",
                "proven_at = ports.clock.now()",
            ),
        ),
        bounds=Bounds(ticks=0, orders=1),
    ),
    Seed(
        name="import_at_a_later_version",
        promise="P6",
        what="A secret that was handed over is published at the version that the entry has just then.",
        edits=(
            Edit(
                HANDED_OVER,
                "started.lineage, place, ports, base=attempt.base\n",
                "started.lineage, place, ports, base=(\n"
                "                await ports.destinations.read(started.lineage.at(place), place.fields)\n"
                "            ).entry.version\n",
            ),
        ),
        bounds=Bounds(ticks=1, switches=2, orders=1, processes=2),
    ),
)

AT_BOTH_PLACES = (
    Seed(
        name="key_revoked_while_a_copy_serves_it",
        promise="P1",
        what="An old key is deleted before its successor is copied to the other place, which is not looked at (both checks are gone).",
        edits=(
            Edit(INVARIANTS, "if copies.behind(snapshot):", "if False:"),
            Edit(RULES, "    copy,\n    revoke,\n", "    revoke,\n    copy,\n"),
        ),
        bounds=Bounds(ticks=2, moves=1, world="imported"),
    ),
    Seed(
        name="overlap_not_counted_from_the_copy",
        promise="P3",
        what="The overlap runs from the publish, although another place got the new secret only later.",
        edits=(Edit(BOOKKEEPING, "max(one.superseded_at, at)", "one.superseded_at"),),
        bounds=Bounds(ticks=2, moves=1, world="imported"),
    ),
    Seed(
        name="unrecorded_copy_forgotten",
        promise="P3",
        what="What a place serves is taken from the record alone, although a copy may not have been recorded.",
        edits=(Edit(BOOKKEEPING, "if before.key_id is not None and base == before.version:", "if before:"),),
        bounds=Bounds(ticks=1, faults=1, moves=1, world="imported"),
    ),
    Seed(
        name="publishes_follow_a_move_at_once",
        promise="P3",
        what="The first copy makes the new place the destination, while a late publish can still land at the one before.",
        edits=(
            Edit(
                BOOKKEEPING,
                "        previous=superseded,\n        also_at=tuple(done if one.place == place else one for one in others),\n",
                "        previous=superseded,\n"
                "        publishes_at=None,\n"
                "        attempts=tuple(replace(one, void=True) for one in record.attempts),\n"
                "        also_at=(replace(done, place=record.destination, version=current.version),)\n"
                "        if record.publishes_at\n"
                "        else tuple(done if one.place == place else one for one in others),\n",
            ),
            Edit(
                BOOKKEEPING,
                "        current = replace(current, version=version)\n    others",
                "        pass\n    if record.publishes_at:\n"
                "        current = replace(current, version=version)\n    others",
            ),
        ),
        bounds=Bounds(ticks=1, faults=1, moves=1, world="imported"),
    ),
    Seed(
        name="copy_at_latest_version",
        promise="P6",
        what="A copy is written at the version that its place has just then, not at the one that was looked at.",
        edits=(
            Edit(
                COPY,
                "ports, base=base), base",
                "ports, base=(await ports.destinations.read(record.lineage.at(place), place.fields)).entry.version), base",
            ),
        ),
        bounds=Bounds(ticks=1, switches=1, moves=1, processes=2, world="imported"),
    ),
    Seed(
        name="persons_secret_at_the_other_place_written_over",
        promise="P4",
        what="The secret in use is copied over one that a person put at the other place.",
        edits=(Edit(COPIES, "if ours or free or _of_this_lineage(snapshot, seen):", "if seen:"),),
        bounds=Bounds(ticks=0, acts=1, moves=1, world="imported"),
    ),
)

SEEDS: tuple[Seed, ...] = (
    *WORKING_SECRET,
    *NOTHING_LOST,
    *NOTHING_EARLY,
    *NOTHING_FOREIGN,
    *SAME_RIGHTS,
    *ONE_AT_A_TIME,
    *ORDERS,
    *AT_BOTH_PLACES,
    *NO_LEAK,
    *NO_SILENCE,
)
