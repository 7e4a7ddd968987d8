"""A finding: what was looked at, what is said of it, and what to do where it is not well."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """``NOTE``: worth knowing, nothing has to be done. ``PROBLEM``: something that was asked for will not work."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """``check`` is what was looked at, in a word or two; ``advice`` is what to do, for a problem or a note."""

    check: str
    level: Level
    message: str
    advice: str | None = None


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def note(check: str, message: str, advice: str | None = None) -> Finding:
    """Worth knowing."""
    return Finding(check, Level.NOTE, message, advice)


def problem(check: str, message: str, advice: str | None = None) -> Finding:
    """Something will not work."""
    return Finding(check, Level.PROBLEM, message, advice)
