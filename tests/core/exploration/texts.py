"""Journal records by number, so that worlds stay small and quick to compare.

A newer version of the program is at work in this world, too: whatever is read has a field beside it that this version
does not know, and must write back.
"""

from __future__ import annotations

import json
from dataclasses import replace

from rotator.model.format import KNOWN
from rotator.model.record import Record, decode, encode

LATER = json.dumps({"needs": KNOWN, "later": 1})


class Texts:
    """The texts of all records that were ever written, each with its number."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._records: dict[int, Record] = {}
        self._kept: set[int] = set()

    def number(self, record: Record) -> int:
        text = encode(record)
        if text not in self._numbers:
            self._numbers[text] = len(self._texts)
            self._texts.append(text)
            if text.endswith(LATER[1:]):
                self._kept.add(self._numbers[text])
        return self._numbers[text]

    def record(self, number: int) -> Record:
        if number not in self._records:
            record = decode(self._texts[number])
            self._records[number] = replace(record, format=KNOWN + 1, unknown=LATER)
        return self._records[number]

    def kept(self, number: int) -> bool:
        """Return whether a record, when it was written, had what a newer version had put there."""
        return number in self._kept
