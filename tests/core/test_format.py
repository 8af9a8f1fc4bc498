"""Formats of the journal: old texts are read, one newer format is kept whole, and anything newer is left as it is.

`journal_of_format_1` holds texts as the first version wrote them, one of each shape. They are never changed: a version
that can't read one, or writes it back in the same format as another text, has a new format, and says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import TooNew
from rotator.model import order as orders_text
from rotator.model.format import KNOWN, WRITTEN, NewerFormat, keeps_unknown
from rotator.model.order import OrderKind
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason
from rotator.model.record import Record, decode, encode
from rotator.model.told import Step
from rotator.plan import saved
from rotator.plan.actions import Hold
from rotator.reconcile import reconcile
from rotator.rotation import bookkeeping, moves
from rotator.rotation.orders import Ordered, give, noted
from tests.core.test_record import FULL
from tests.support import builders as a
from tests.support.builders import DAY, NOW, POLICY
from tests.support.fakes import World, settled

FOLDER = Path(__file__).parent / "journal_of_format_1"
TEXTS = sorted(FOLDER.glob("record_*.json"))
NEWER = KNOWN + 1
UNKNOWN: dict[str, object] = {
    "needs": KNOWN,
    "tomorrow": {"a": [1, 2.5, None, "\u00fc"]},
    "unknown": "",
    "z": True,
}
"""What a record of the next format may have besides: one field has a name that we use for something else."""


def newer(record: Record, **more: object) -> str:
    """Return the text of a record as a later version might write it."""
    return json.dumps(json.loads(encode(record)) | {"format": NEWER, **more})


def unknown_of(text: str) -> dict[str, Any]:
    """Return what a text has that a record of our own format has not."""
    ours = json.loads(encode(FULL)).keys()
    return {name: value for name, value in json.loads(text).items() if name not in ours}


# Older texts


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_text_of_an_earlier_version_is_read_and_as_long_as_its_format_is_written_the_same(
    path: Path,
) -> None:
    text = path.read_text().strip()

    record = decode(text)

    assert record.format == 1
    assert WRITTEN > 1 or encode(record) == text


def test_there_is_a_text_of_every_shape_with_something_in_every_part() -> None:
    assert len(TEXTS) == 11
    assert decode((FOLDER / "record_full.json").read_text()) == FULL


def test_every_hold_and_the_pauses_of_an_earlier_version_are_read() -> None:
    for reason in json.loads((FOLDER / "hold_reasons.json").read_text()):
        held = json.loads(encode(FULL)) | {"hold": json.loads(encode(FULL))["hold"] | {"reason": reason}}
        assert decode(json.dumps(held)).hold is not None
    pauses = (FOLDER / "pauses.json").read_text().strip()
    assert orders_text.encode_pauses(orders_text.decode_pauses(pauses)) == pauses


# One format newer, which may be acted by


def test_what_is_not_known_is_written_back_in_the_format_it_had() -> None:
    text = newer(FULL, **UNKNOWN)

    record = decode(text)

    assert json.loads(encode(record)) == json.loads(text)
    assert replace(record, format=WRITTEN, unknown="") == FULL


Change = Callable[[Record], Record]


def _copied(record: Record) -> Record:
    moved = moves.moved(record, a.THERE, unused=False)
    return bookkeeping.copied(moved, a.THERE, version=1, at=NOW, base=0)


def _published(record: Record) -> Record:
    attempt = a.attempt(a.LATER, base=3)
    return bookkeeping.published(
        record,
        attempt,
        a.made(attempt, "key-new"),
        POLICY,
        version=4,
        at=NOW,
        proven_at=NOW,
        holder=a.OBSERVER,
    )


STEPS: dict[str, Change] = {
    "adopted": lambda record: bookkeeping.adopted(a.snapshot(record), POLICY, a.key(), original=True),
    "intended": lambda record: bookkeeping.intended(record, a.attempt(a.LATER)),
    "left_alive": lambda record: bookkeeping.left_alive(record, a.ISSUED, "key-unfit"),
    "withdrawn": lambda record: bookkeeping.withdrawn(record, a.ISSUED),
    "published": _published,
    "copied": _copied,
    "inherited": lambda record: bookkeeping.inherited(record, a.key("key-orphan"), a.attempt()),
    "gone": lambda record: bookkeeping.gone(record, a.retired()),
    "failed": lambda record: bookkeeping.failed(record, POLICY, CopyReason.MOVED, "x", NOW, not_before=NOW),
    "failed_to_rotate": lambda record: bookkeeping.failed(
        record, POLICY, RotateReason.DUE_BY_EXPIRY, "x", NOW, not_before=NOW
    ),
    "failed_to_delete": lambda record: bookkeeping.failed(
        record, POLICY, RevokeReason.OVERLAP_ENDED, "x", NOW, not_before=NOW
    ),
    "held": lambda record: bookkeeping.held(record, POLICY, HoldReason.PARITY, "x", NOW),
    "pruned": lambda record: bookkeeping.pruned(record, NOW + 900 * DAY, frozenset()),
    "noted": lambda record: noted(record, a.order()),
    "moved": lambda record: moves.moved(record, a.OTHER_FIELDS, unused=True),
    "given_up": lambda record: (
        one if isinstance(one := moves.given_up(record, a.PLACE.name), Record) else record
    ),
    "claimed": lambda record: replace(record, claim=a.claim()),
}


def test_every_step_of_the_bookkeeping_is_among_those_tried() -> None:
    own = (
        name
        for name, of in vars(bookkeeping).items()
        if getattr(of, "__module__", "") == bookkeeping.__name__
    )
    assert {name for name in own if not name.startswith("_")} <= STEPS.keys()


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.text(max_size=5), st.recursive(st.none() | st.text() | st.integers(), st.lists), max_size=3
    ),
    st.lists(st.sampled_from(sorted(STEPS)), max_size=6),
)
def test_no_step_loses_what_it_does_not_know(more: dict[str, object], steps: list[str]) -> None:
    text = newer(a.record(previous=[a.previous()]), **{**unknown_of(json.dumps(more)), "needs": KNOWN})
    record = decode(text)

    for step in steps:
        record = decode(encode(STEPS[step](record)))

    assert unknown_of(encode(record)) == unknown_of(text)
    assert json.loads(encode(record))["format"] == NEWER


async def test_a_whole_rotation_and_an_order_keep_it() -> None:
    old = a.key("key-current", age=89 * DAY)
    due = a.record(serves=a.current(old))
    world = settled(decode(newer(due, **UNKNOWN)))

    await give(Ordered(kind=OrderKind.ROTATE, who="ann", why=""), world.assignment(), world.ports())
    done = await reconcile(world.assignment(), world.ports())

    assert Step.RECORDED in world.steps
    assert done.error is None
    assert {json.dumps(unknown_of(text)) for text, _ in world.records} == {json.dumps(UNKNOWN)}
    assert {json.loads(text)["format"] for text, _ in world.records} == {NEWER}


@pytest.mark.promise("P7")
def test_what_is_not_known_is_shown_nowhere() -> None:
    record = decode(newer(FULL, **UNKNOWN))
    kept = saved.Saved(now=NOW, cases=(saved.Case(policy=POLICY, snapshot=a.snapshot(record)),))

    assert "tomorrow" not in repr(record)
    assert "tomorrow" not in saved.encode(kept)
    assert saved.decode(saved.encode(kept).encode()).cases[0].snapshot.record == replace(record, unknown="")


# What may not be acted by


@pytest.mark.parametrize(
    ("found", "more", "needs"),
    [
        (NEWER, {}, NEWER),
        (NEWER, {"needs": NEWER}, NEWER),
        (NEWER, {"needs": NEWER + 5}, NEWER),
        (NEWER, {"needs": str(KNOWN)}, NEWER),
        (NEWER, {"needs": True}, NEWER),
        (NEWER, {"needs": None}, NEWER),
        (NEWER + 1, {"needs": KNOWN}, NEWER),
        (NEWER + 1, {"needs": NEWER + 1}, NEWER + 1),
        (NEWER + 9, {}, NEWER + 9),
    ],
)
def test_anything_newer_is_refused_with_the_format_that_it_needs(
    found: int, more: dict[str, object], needs: int
) -> None:
    with pytest.raises(
        NewerFormat, match=rf"in format {found}; only a rotator that knows format {needs} may"
    ):
        decode(newer(FULL, **{**more, "format": found}))


def test_our_own_format_and_older_ones_have_nothing_unknown() -> None:
    assert [keeps_unknown(found, KNOWN) for found in range(NEWER + 1)] == [False] * NEWER + [True]
    for text in (newer(FULL, format=KNOWN, more=1), newer(FULL, format=KNOWN, unknown='{"more":1}')):
        with pytest.raises(ValueError, match="not a journal record"):
            decode(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["current"].update(more=1),
        lambda record: record["attempts"][0].update(more=1),
        lambda record: record["lineage"].update(more=1),
        lambda record: record["hold"].update(reason="another"),
        lambda record: record.pop("lineage"),
    ],
)
def test_a_record_of_the_next_format_whose_parts_are_not_known_is_too_new_whatever_it_says(
    change: Callable[[Any], object],
) -> None:
    """A mistake of the version that wrote it. Told as garbled, a person would remove it."""
    document = json.loads(newer(FULL, needs=KNOWN))
    change(document)

    with pytest.raises(NewerFormat, match=f"only a rotator that knows format {NEWER} may"):
        decode(json.dumps(document))


@pytest.mark.parametrize("more", [{"more": float("nan")}, {"format": 10**7}])
def test_what_only_claims_to_be_of_a_newer_format_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a journal record") as caught:
        decode(newer(FULL, **{"needs": KNOWN, **more}))

    assert not isinstance(caught.value, NewerFormat)


def too_new() -> World:
    """Return a world whose record a version two formats later has written meanwhile: its key is due."""
    world = settled(a.record(serves=a.current(a.key("key-current", age=89 * DAY)), previous=[a.previous()]))
    world.records.append((newer(world.record, format=NEWER + 1), NOW))
    return world


@pytest.mark.promise("P3")
async def test_a_lineage_of_a_newer_rotator_is_held_and_nothing_of_it_is_touched() -> None:
    world = too_new()
    text, keys, versions = world.records[-1][0], dict(world.keys), list(world.versions)

    done = await reconcile(world.assignment(), world.ports())
    answers = [
        await give(Ordered(kind=kind, who="ann", why=""), world.assignment(), world.ports())
        for kind in (
            OrderKind.ROTATE,
            OrderKind.EMERGENCY,
            OrderKind.FORGET,
            OrderKind.RELEASE,
            OrderKind.ADOPT,
        )
    ]

    assert done.last is not None
    for stands in (done.last.stands, *answers):
        assert isinstance(stands, Hold)
        assert stands.reason is HoldReason.RECORD_NEWER
        assert f"format {NEWER + 1};" in stands.detail
    assert (world.records[-1][0], world.keys, world.versions) == (text, keys, versions)


@pytest.mark.parametrize("kind", [OrderKind.MOVE, OrderKind.GIVE_UP])
async def test_a_lineage_of_a_newer_rotator_is_not_moved(kind: OrderKind) -> None:
    world = too_new()
    order = moves.move if kind is OrderKind.MOVE else moves.give_up

    with pytest.raises(TooNew):
        await order(
            Ordered(kind=kind, who="ann", why="", place="kv/moved"), world.assignment(), world.ports()
        )

    assert "write_record" not in world.calls


async def test_a_record_that_became_newer_amid_a_rotation_is_not_written_over() -> None:
    world = settled(a.record(serves=a.current(a.key("key-current", age=89 * DAY))))
    text = newer(world.record, format=NEWER + 1)
    world.before("publish", lambda: world.records.append((text, NOW)))

    done = await reconcile(world.assignment(), world.ports())

    assert done.last is not None
    assert isinstance(done.last.stands, Hold)
    assert done.last.stands.reason is HoldReason.RECORD_NEWER
    assert world.records[-1][0] == text
