"""What is wrong with the rows of one catalogue: the first hundred problems, each with its place, and how many more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from glossi_sync.spec.problems import Problem
from glossi_sync.spec.rows import Rows, Where
from glossi_sync.spec.schema import show

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Repeated:
    """A key that is defined elsewhere too: where, is found out when there is time for it."""

    section: str
    key: str

    def message(self, place: str) -> str:
        """What is said, where ``place`` is the first definition's."""
        entry = "key" if self.section == "models" else "project"
        return f"the {entry} {show(self.key)} is already defined at {place}"


class RowProblems:
    """Problems of a catalogue's rows. Beyond the hundredth they are only counted."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._found: list[tuple[int, Where, str | Repeated]] = []
        self.uncounted = 0

    def add(self, number: int, where: Where, message: Callable[[], str] | str | Repeated) -> None:
        """A problem of the row with a number (from 0), at a place in it."""
        if len(self._found) >= SHOWN:
            self.uncounted += 1
            return
        self._found.append((number, where, message() if callable(message) else message))

    def any(self) -> bool:
        return bool(self._found)

    def repeated(self) -> set[Repeated]:
        """The keys whose first places are to be looked up."""
        return {message for _, _, message in self._found if isinstance(message, Repeated)}

    def placed(self, first_places: Mapping[Repeated, str]) -> list[Problem]:
        """All that are told, with their places, in the order of the rows."""
        wanted = [
            (number, where, message.message(first_places[message]) if isinstance(message, Repeated) else message)
            for number, where, message in self._found
        ]
        return sorted(self._rows.places(wanted))
