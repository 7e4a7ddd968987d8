"""The guard: a plan that would take away too much at once is more likely a mistake than a wish.

An emptied CSV, a wrong checkout, a branch that was cut short: each looks like "forget everything". So a plan that
replaces or forgets more than a share of the addresses that exist is refused, until somebody says that it is meant.
"""

from __future__ import annotations

from collections.abc import Iterable

from glossi_sync.errors import UserError
from glossi_sync.planning.change import Action, Change
from glossi_sync.spec import Guard

TAKES_AWAY = frozenset({Action.REPLACE, Action.FORGET, Action.REMOVE})


class LargeChange(UserError):
    """A plan that takes away too much at once was to be applied; the message says how much, and how to allow it."""


def excess(changes: Iterable[Change], existing: int, guard: Guard) -> str | None:
    """Why a plan is refused, or None where it is not; ``existing`` is the number of addresses that are bound now."""
    if existing < guard.existing:
        return None
    lost = [change for change in changes if change.action in TAKES_AWAY]
    if len(lost) * 100 <= existing * guard.percent:
        return None
    replaced = sum(change.action is Action.REPLACE for change in lost)
    parts = [f"{replaced} replaced"] if replaced else []
    parts += [f"{len(lost) - replaced} forgotten"] if len(lost) > replaced else []
    share = len(lost) * 100 // existing
    return (
        f"This plan is a large change: of {existing} existing addresses {' and '.join(parts)} ({share} %; the guard "
        f"allows {guard.percent} %). Is the spec whole? If it is meant: `--allow-large-change`."
    )
