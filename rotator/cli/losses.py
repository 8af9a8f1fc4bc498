"""What lost records can be made of again: what a person is shown before it is done, and what became of it after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rotator.cli import asides, documents, exits, failures, words
from rotator.cli.text import paragraph, short, table
from rotator.cli.times import rfc3339
from rotator.errors import RotatorError
from rotator.inventory.fleet import Found, Stray
from rotator.inventory.records import Trouble
from rotator.model.record import Record
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Hold
from rotator.plan.rebuild import Missing, NotRebuilt, Rebuilt
from rotator.policy.duration import show_duration

_PASSING: Final = frozenset({Missing.KEY_UNREADABLE, Missing.SERVED_UNPROVEN})
"""What ends without anybody doing anything."""

Answer = Rebuilt | NotRebuilt | Hold | RotatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One lineage without a record that had one. `answer` is what can be made of it, `record` what was written."""

    found: Found
    snapshot: Snapshot | None
    answer: Answer
    record: Record | None = None

    @property
    def lineage(self) -> str:
        """Its name."""
        return self.found.assignment.lineage.name

    @property
    def status(self) -> int:
        """The exit status that it alone would give."""
        match self.answer:
            case Rebuilt():
                return exits.FINE
            case NotRebuilt(reason=reason) if reason in _PASSING:
                return exits.TRY_AGAIN
            case RotatorError():
                return failures.status_of(self.answer)
            case _:
                return exits.PERSON_NEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What becomes of one key. `becomes` and `why` are names, `said` is for people."""

    key_id: str
    becomes: str
    why: str | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """All that was found. `begins`: the control record is lost too, and is written with `journal_id`, None: not known.

    `astray` are keys with this journal's mark that lead to no lineage of the policy file.
    """

    journal_id: str | None
    begins: bool
    lost: tuple[Loss, ...]
    astray: tuple[Stray, ...]
    troubles: tuple[Trouble, ...]

    @property
    def possible(self) -> tuple[Loss, ...]:
        """Those that can be rebuilt."""
        return tuple(one for one in self.lost if isinstance(one.answer, Rebuilt))

    @property
    def status(self) -> int:
        """The exit status that all of it gives."""
        statuses = {one.status for one in self.lost}
        statuses |= {failures.status_of(trouble.error) for trouble in self.troubles}
        return exits.gravest(statuses | ({exits.PERSON_NEEDED} if self.astray else set()))

    @property
    def document(self) -> dict[str, object]:
        """It as a document."""
        return {
            "journal": {"id": self.journal_id, "begun": self.begins},
            "lineages": [_document(one) for one in self.lost],
            "strays": [documents.of_stray(one) for one in self.astray],
            "troubles": documents.of_troubles(self.troubles),
        }

    def __str__(self) -> str:
        """Return it for people."""
        titles = ("LINEAGE", "KEY", "IT IS", "WHAT FOLLOWS")
        rows = [
            (one.lineage, short(role.key_id), words.BECOMES[role.becomes], role.said)
            for one in self.possible
            for role in roles(one)
        ]
        begun = (
            f"The journal is begun again, with its id {self.journal_id}; what was paused is paused no more."
        )
        return (
            asides.joined(
                begun if self.begins else "",
                table(titles, rows) if rows else "",
                _section(
                    "Not rebuilt:",
                    (f"{one.lineage}: {why(one.answer)}" for one in self.lost if not _done(one)),
                ),
                _section(
                    "Keys with this journal's mark that lead to no lineage of the policy file:",
                    self._astray(),
                ),
                asides.troubles(self.troubles),
                self._summary() if self.lost else "",
            )
            or "Nothing is lost: there is nothing to rebuild."
        )

    def _summary(self) -> str:
        """Return one line that says what it came to."""
        done = sum(one.record is not None for one in self.lost)
        said = f"{done} rebuilt" if done else f"{len(self.possible)} can be rebuilt"
        return f"{len(self.lost)} lost {'record' if len(self.lost) == 1 else 'records'}: {said}"

    def _astray(self) -> Iterator[str]:
        for one in self.astray:
            yield (
                f"{one.key.key_id} at {one.provider}, comment {one.key.operator_comment!a}. To do: {words.ASTRAY}"
            )


def roles(loss: Loss) -> Iterator[Role]:
    """Yield what becomes of each key of a lineage that can be rebuilt, those last that are left alone."""
    if not isinstance(loss.answer, Rebuilt) or loss.snapshot is None:
        return
    record = loss.record or loss.answer.record
    # By the whole mark: one that names another journal can carry the same rotation id.
    made = {key.mark: key.key_id for key in loss.snapshot.keys if key.mark is not None}
    if record.current is not None:
        said = f"Vault serves its secret, at version {record.current.version}, and the provider accepts it"
        yield Role(key_id=record.current.key.key_id, becomes="current", why=None, said=said)
    for previous in record.previous:
        said = f"is deleted once its overlap of {show_duration(previous.overlap)}, from then on, is over"
        yield Role(key_id=previous.key_id, becomes="previous", why=None, said=said)
    for attempt in record.attempts:
        yield Role(
            key_id=made[record.mark(loss.snapshot.journal_id, attempt.rotation_id)],
            becomes="orphan",
            why=None,
            said="leaves after the next publish: its own may still come",
        )
    for original in record.originals:
        yield Role(key_id=original.key.key_id, becomes="original", why=None, said=_released(record))
    for key_id, doubt in loss.answer.left:
        said = f"is left alone: {words.NOT_TAKEN[doubt]}"
        yield Role(key_id=key_id, becomes="stray", why=doubt.value, said=said)


def why(answer: Answer) -> str:
    """Return why a lineage can't be rebuilt, and what to do about it."""
    match answer:
        case NotRebuilt(reason=reason, key_id=key_id):
            text = words.MISSING[reason].replace("KEY_ID", key_id or "that is not told")
            return f"{text}. To do: {words.MISSING_CURE[reason].replace('KEY_ID', key_id or 'ID')}"
        case Hold():
            detail = f" ({answer.detail})" if answer.detail else ""
            return f"{words.HOLD[answer.reason]}{detail}. To do: {words.CURE[answer.reason]}"
        case RotatorError():
            return f"failed: {answer}. To do: {failures.cure_of(answer)}"
        case _:
            return ""


def _done(loss: Loss) -> bool:
    return isinstance(loss.answer, Rebuilt)


def _released(record: Record) -> str:
    if record.current is None:
        return "is the one to be replaced: Vault serves nothing yet"
    after = record.originals[0].release_after
    return "lives until it is released" + ("" if after is None else f", or for {show_duration(after)}")


def _section(title: str, items: Iterator[str]) -> str:
    lines = [paragraph(item, indent="  ") for item in items]
    return "\n".join([title, *lines]) if lines else ""


def _document(loss: Loss) -> dict[str, object]:
    answer = loss.answer
    missing = answer if isinstance(answer, NotRebuilt) else None
    at: datetime | None = loss.record.orders[-1].at if loss.record else None
    return {
        "lineage": loss.lineage,
        "rebuilt_at": rfc3339(at) if at else None,
        "keys": [{"key_id": role.key_id, "becomes": role.becomes, "why": role.why} for role in roles(loss)],
        "missing": missing.reason.value if missing else None,
        "key_id": missing.key_id if missing else None,
        "hold": answer.reason.value if isinstance(answer, Hold) else None,
        "error": documents.of_error(answer) if isinstance(answer, RotatorError) else None,
    }
