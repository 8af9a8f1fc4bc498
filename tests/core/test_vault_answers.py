from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rotator.model.entry import EntryState
from rotator.vault.answers import Answer, date_header, retry_after_header, stored, written

AT = datetime(2026, 11, 23, 1, 11, 35, tzinfo=UTC)
METADATA = {
    "created_time": "2026-11-23T01:11:35.282607425Z",
    "custom_metadata": None,
    "deletion_time": "",
    "destroyed": False,
    "version": 3,
}


def answer(status: int, body: dict[str, object] | None, at: datetime | None = AT) -> Answer:
    return Answer(status=status, at=at, retry_after=None, body=body)


def test_a_present_version() -> None:
    found = stored(answer(200, {"data": {"data": {"a": "b"}, "metadata": METADATA}}))
    assert found is not None
    assert (found.state, found.version, found.data) == (EntryState.PRESENT, 3, {"a": "b"})
    assert found.created_at == datetime(2026, 11, 23, 1, 11, 35, 282607, tzinfo=UTC)


def test_never_written_is_an_empty_list_of_errors_and_nothing_else() -> None:
    found = stored(answer(404, {"errors": []}))
    assert found is not None
    assert (found.state, found.version, found.created_at) == (EntryState.ABSENT, 0, None)
    assert stored(answer(404, {"errors": ["no handler for route"]})) is None
    assert stored(answer(404, {})) is None
    assert stored(answer(404, None)) is None


@pytest.mark.parametrize("change", [{"deletion_time": "2026-11-23T01:11:36Z"}, {"destroyed": True}])
def test_deleted_and_destroyed_are_not_absent(change: dict[str, object]) -> None:
    found = stored(answer(404, {"data": {"data": None, "metadata": METADATA | change}}))
    assert found is not None
    assert (found.state, found.version, found.data) == (EntryState.DELETED, 3, {})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"data": {"a": "b"}},
        {"data": None, "metadata": METADATA},
        {"data": ["a"], "metadata": METADATA},
        {"data": {"a": "b"}, "metadata": METADATA | {"version": "3"}},
        {"data": {"a": "b"}, "metadata": METADATA | {"version": 0}},
        {"data": {"a": "b"}, "metadata": METADATA | {"version": 2**53 + 1}},
        {"data": {"a": "b"}, "metadata": METADATA | {"created_time": "yesterday"}},
        {"data": {"a": "b"}, "metadata": METADATA | {"created_time": "2026-11-23T01:11:35"}},
    ],
)
def test_an_answer_without_its_parts_is_no_finding(data: dict[str, object]) -> None:
    assert stored(answer(200, {"data": data})) is None


def test_a_read_without_vaults_clock_is_no_finding() -> None:
    assert stored(answer(200, {"data": {"data": {}, "metadata": METADATA}}, at=None)) is None


def test_what_a_write_answers() -> None:
    kept = written(answer(200, {"data": METADATA}))
    assert kept is not None
    assert (kept.version, kept.deletion_at) == (3, None)
    doomed = written(answer(200, {"data": METADATA | {"deletion_time": "2026-12-23T01:11:35.5Z"}}))
    assert doomed is not None
    assert doomed.deletion_at == datetime(2026, 12, 23, 1, 11, 35, 500000, tzinfo=UTC)
    assert written(answer(200, {"data": METADATA | {"deletion_time": "soon"}})) is None
    assert written(answer(200, {"data": {"version": 3}})) is None
    assert written(answer(204, None)) is None


def test_the_date_header_is_utc() -> None:
    assert date_header("Mon, 23 Nov 2026 01:11:35 GMT") == AT
    elsewhere = date_header("Mon, 23 Nov 2026 02:11:35 +0100")
    assert elsewhere == AT
    assert elsewhere.tzinfo is UTC
    assert date_header("Mon, 23 Nov 2026 01:11:35 -0000") is None
    assert date_header("now") is None
    assert date_header(None) is None


def test_retry_after_is_whole_seconds() -> None:
    assert retry_after_header("7") == timedelta(seconds=7)
    assert retry_after_header("999999") == timedelta(hours=1)
    for value in (None, "", "-1", "1.5", "9999999", "Mon, 23 Nov 2026 01:11:35 GMT"):
        assert retry_after_header(value) is None


def test_no_data_shows() -> None:
    secretive = answer(200, {"data": {"data": {"api_key": "CANARY-x"}, "metadata": METADATA}})
    assert "CANARY" not in repr(secretive)
    assert "CANARY" not in repr(stored(secretive))
