"""A shard: one of several equal parts of a catalogue, told apart by a hash, so that as many runners can share it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ValueError(f"there is no shard {self.index} of {self.count}: they are counted from 1")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``3/16``.

        Raises:
            ValueError: it is not written so, or there is no such shard; the message is a sentence.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if found is None:
            raise ValueError(f"{text!r} names no shard: write 3/16 for the third of sixteen")
        return cls(int(found[1]), int(found[2]))

    def holds(self, key: str) -> bool:
        """Whether a key belongs here. Each key belongs to exactly one shard of a count, on every machine the same."""
        return int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) % self.count == self.index - 1
