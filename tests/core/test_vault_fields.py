from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.entry import EntryState, FieldNames, Publication
from rotator.model.secret import Secret
from rotator.vault import fields as entry_fields
from rotator.vault.answers import Stored
from tests.support.canary import CANARY

NAMES = FieldNames()
OURS = {"api_key", "rotation_id", "api_key_id", "previous_api_key_id", "expires_at"}
AT = datetime(2026, 11, 23, 1, 11, 35, 987654, tzinfo=UTC)


def publication(previous: str | None = "key-1", expires_at: datetime | None = AT) -> Publication:
    return Publication(
        rotation_id="0123456789abcdef",
        secret=Secret(f"{CANARY}-new"),
        key_id="key-2",
        previous_key_id=previous,
        expires_at=expires_at,
    )


def read(data: dict[str, object]) -> Stored:
    return Stored(state=EntryState.PRESENT, version=4, created_at=AT, at=AT, data=data)


def test_a_publish_writes_texts_and_keeps_the_rest() -> None:
    assert entry_fields.merged({"url": "https://x", "n": 1, "api_key": "old"}, NAMES, publication()) == {
        "url": "https://x",
        "n": 1,
        "api_key": f"{CANARY}-new",
        "rotation_id": "0123456789abcdef",
        "api_key_id": "key-2",
        "previous_api_key_id": "key-1",
        "expires_at": "2026-11-23T01:11:35Z",
    }


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_other_fields_are_never_touched(data: dict[str, object]) -> None:
    result = entry_fields.merged(data, NAMES, publication())
    assert {k: v for k, v in result.items() if k not in OURS} == {
        k: v for k, v in data.items() if k not in OURS
    }
    assert all(isinstance(result[name], str) for name in OURS)


def test_no_stale_value_stays_beside_a_new_secret() -> None:
    old = entry_fields.merged({}, NAMES, publication())
    new = entry_fields.merged(old, NAMES, publication(previous=None, expires_at=None))
    assert set(new) == {"api_key", "rotation_id", "api_key_id"}


def test_fields_without_a_name_are_not_written() -> None:
    bare = FieldNames(secret="key", key_id=None, previous_key_id=None, expires_at=None)
    assert entry_fields.merged({"expires_at": "theirs"}, bare, publication()) == {
        "expires_at": "theirs",
        "key": f"{CANARY}-new",
        "rotation_id": "0123456789abcdef",
    }


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    "names",
    [FieldNames(secret="rotation_id"), FieldNames(secret="x", key_id="x"), FieldNames(expires_at="api_key")],
)
def test_the_secret_is_not_overwritten_by_a_field_of_the_same_name(names: FieldNames) -> None:
    with pytest.raises(ValueError, match="one name"):
        entry_fields.merged({}, names, publication())


def test_expiry_is_written_in_utc() -> None:
    local = datetime(2026, 11, 23, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    assert (
        entry_fields.merged({}, NAMES, publication(expires_at=local))["expires_at"] == "2026-11-23T01:00:00Z"
    )


def test_what_a_read_says() -> None:
    found = read({"api_key": f"{CANARY}-s", "rotation_id": "r", "api_key_id": "k"})
    entry = entry_fields.entry_of(found, NAMES)
    assert (entry.version, entry.rotation_id, entry.key_id, entry.has_secret) == (4, "r", "k", True)
    secret = entry_fields.secret_of(found, NAMES)
    assert secret is not None
    assert secret.reveal() == f"{CANARY}-s"


@pytest.mark.parametrize("value", [None, 7, "", " x", "x\n", {"a": "b"}, ["x"], True])
def test_a_secret_field_that_holds_no_secret_is_there_all_the_same(value: object) -> None:
    found = read({"api_key": value, "rotation_id": 5, "api_key_id": ["k"]})
    entry = entry_fields.entry_of(found, NAMES)
    assert entry_fields.secret_of(found, NAMES) is None
    assert entry.has_secret
    assert (entry.rotation_id, entry.key_id) == (None, None)


def test_too_many_bytes_or_values_are_found_before_they_are_written() -> None:
    assert entry_fields.too_large({}, NAMES) is None
    assert entry_fields.too_large({"blob": "x" * (490 * 1024)}, NAMES) is None
    assert "KiB" in (entry_fields.too_large({"blob": "x" * (500 * 1024)}, NAMES) or "")
    assert "KiB" in (entry_fields.too_large({"blob": "\u20ac" * (100 * 1024)}, NAMES) or "")
    assert entry_fields.too_large({str(n): "x" for n in range(395)}, NAMES) is None
    assert "values" in (entry_fields.too_large({str(n): "x" for n in range(396)}, NAMES) or "")
    assert "values" in (entry_fields.too_large({"deep": {"list": [{"a": "b"}] * 200}}, NAMES) or "")


@pytest.mark.parametrize(
    ("settings", "deletes"),
    [
        ({}, False),
        ({"delete_version_after": "0s"}, False),
        ({"delete_version_after": None}, False),
        ({"delete_version_after": "0h0m0s"}, False),
        ({"delete_version_after": "720h0m0s"}, True),
        ({"delete_version_after": "1s"}, True),
        ({"delete_version_after": "500ms"}, True),
    ],
)
def test_which_settings_make_vault_delete_versions(settings: dict[str, object], deletes: bool) -> None:  # noqa: FBT001
    assert entry_fields.deletes_versions(settings) is deletes
