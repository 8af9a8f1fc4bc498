"""Journal records by number, so that worlds stay small and quick to compare."""

from __future__ import annotations

from rotator.model.record import Record, decode, encode


class Texts:
    """The texts of all records that were ever written, each with its number."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._records: dict[int, Record] = {}

    def number(self, record: Record) -> int:
        text = encode(record)
        if text not in self._numbers:
            self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return self._numbers[text]

    def record(self, number: int) -> Record:
        if number not in self._records:
            self._records[number] = decode(self._texts[number])
        return self._records[number]
