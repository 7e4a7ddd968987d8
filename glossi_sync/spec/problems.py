"""What is wrong with a spec: where it stands, and in the user's words."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby, islice

from glossi_sync.errors import UserError

_SHOWN = 100
_MANY = 1000
_KEY_CHARACTERS = string.ascii_letters + string.digits + "._-"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. ``file`` as the user named it; ``line`` and ``column`` count from 1, and are 0 for a whole file."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}" if self.line else f"{self.file}: {self.message}"


class SpecError(UserError):
    """Everything that is wrong with a spec, in the order of the files and of the positions in them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines: list[str] = []
        for _, problems in groupby(self.problems, key=lambda problem: problem.file):
            shown = [str(problem) for problem in islice(problems, _SHOWN)]
            more = sum(1 for _ in problems)
            lines += shown + ([f"… and {more:,} more like these"] if more else [])
        return "\n".join(lines)


def is_utf8(text: str) -> bool:
    """Whether a text can be written down: what comes from a file's name or an escape may hold half a character."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def near(word: str, known: Collection[str]) -> str:
    """``; did you mean 'lamp'?`` where ``word`` is nearly one of ``known``, else nothing.

    Among many words only those one slip of the finger away are looked for, since comparing with each takes too long.
    """
    if len(known) > _MANY:
        match = next((slip for slip in _slips(word) if slip in known), None)
    else:
        folded = {name.casefold(): name for name in known}
        matches = get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.65)
        match = folded[matches[0]] if matches else None
    return f"; did you mean {match!r}?" if match is not None else ""


def _slips(word: str) -> Iterable[str]:
    """Every word that is one letter more, less or other than ``word``, or has two neighbours swapped."""
    splits = [(word[:index], word[index:]) for index in range(len(word) + 1)]
    for head, tail in splits:
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for character in _KEY_CHARACTERS:
            if tail:
                yield head + character + tail[1:]
            yield head + character + tail
