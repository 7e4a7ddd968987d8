"""A plan, as data: one ``Change`` for each address that an apply would touch, or that has something to tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from glossi_sync.planning.observe import Seen
from glossi_sync.planning.scope import WHOLE, Scope
from glossi_sync.resources import Kind, Step
from glossi_sync.state import Intent, Subject, Write


class Action(StrEnum):
    """What happens to an address (architecture, the table under "The idea"), in the order in which plans show them."""

    CREATE = "create"
    REPLACE = "replace"
    RESUME = "resume"
    RETRY = "retry"
    RECREATE = "recreate"
    ADOPT = "adopt"
    UPDATE = "update"
    REMOVE = "remove"
    FORGET = "forget"
    NONE = "none"


class Trouble(StrEnum):
    """Why an address cannot converge in this plan: it failed, its parent did, or a call for it is in doubt."""

    FAILED = "failed"
    BLOCKED = "blocked"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which an object's inputs differ from those it was realised with.

    ``text`` says it in the user's words: ``content changed (sha256 1f3a… -> 9c2e…, 1.2 MB -> 1.3 MB)``.
    """

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to one address.

    ``oid`` is the object that the apply goes on with (resume, retry, adopt, none), None where a new one is made;
    ``replaced`` is the object that the address was bound to before, where that is another one; ``moved_from`` the
    address whose binding an adopt takes over. ``note`` is something to know that calls for no action.
    """

    address: str
    kind: Kind
    action: Action
    reason: str
    digest: str | None = None
    steps: tuple[Step, ...] = ()
    oid: int | None = None
    replaced: int | None = None
    moved_from: str | None = None
    trouble: Trouble | None = None
    note: str | None = None
    diff: tuple[Difference, ...] = ()
    waits: bool = False
    """Whether the service still has to work on it after the last step."""
    doubts: tuple[tuple[Intent, Subject], ...] = ()
    """The calls in doubt that hold it, each with the subject of which they may have realised it already."""

    @property
    def acts(self) -> bool:
        """Whether an apply has anything to do or to wait for here."""
        return self.action is not Action.NONE


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan's apply may bring.

    ``renders`` are those that it starts or waits for, ``unknown`` those of them of which nothing is known: they are in
    neither number. ``at_least`` says that models may have more looks than are counted. ``seconds`` is None where no
    earlier run did the like; ``runs`` are how many it is the median of.
    """

    renders: int = 0
    pictures: int = 0
    videos: int = 0
    at_least: bool = False
    unknown: int = 0
    seconds: float | None = None
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that an apply would do, and what it was decided from.

    ``changes`` are in the order of the spec, parents first; uneventful ones are only counted (``unchanged``) unless
    they were asked for. ``seen`` are the service's answers that differ from the state: an apply records them first.
    ``abandoned`` are calls in doubt whose question is simply asked again.
    """

    workspace: str
    spec: str
    lineage: str
    serial: int
    changes: tuple[Change, ...]
    unchanged: int = 0
    seen: Mapping[int, Seen] = field(default_factory=lambda: MappingProxyType({}))
    abandoned: tuple[Intent, ...] = ()
    calls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    upload_bytes: int = 0
    excess: str | None = None
    """Why the guard refuses it, where it does."""
    remark: str | None = None
    """What is to be said of many changes at once."""
    forecast: Forecast | None = None
    """What an apply of it may bring; None where nobody has asked, or where there is nothing to do."""
    scope: Scope = WHOLE
    """What it is about; the other addresses are neither among its changes nor counted."""
    settled: tuple[Write, ...] = ()
    """What webhook events have settled of the calls in doubt: an apply records it first."""

    def acting(self) -> Iterator[Change]:
        """The changes that an apply has something to do for."""
        return (change for change in self.changes if change.acts)

    def troubled(self) -> Iterator[Change]:
        """The addresses that cannot converge: failed, blocked or held."""
        return (change for change in self.changes if change.trouble is not None)

    @property
    def steps(self) -> Counter[str]:
        """How often each step will be taken."""
        return Counter(step.name for change in self.changes for step in change.steps)

    @property
    def actions(self) -> Counter[Action]:
        """How many addresses have each action; ``none`` counts the unchanged ones too."""
        counted = Counter(change.action for change in self.changes)
        counted[Action.NONE] += self.unchanged
        return counted

    @property
    def is_empty(self) -> bool:
        """Whether an apply would change nothing, neither at the service nor in the state."""
        return next(self.acting(), None) is None

    @property
    def is_settled(self) -> bool:
        """Whether there is not even something to be written down: an apply of it would be as if it had not been."""
        return self.is_empty and not (self.seen or self.abandoned or self.settled)
