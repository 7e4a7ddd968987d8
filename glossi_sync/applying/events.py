"""What happens during an apply, as data. Reporting turns it into a progress display, plain lines or JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glossi_sync.applying.apply import Applied


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step is done and recorded."""

    address: str
    step: str
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Uploading:
    """So many of a model file's bytes have been sent."""

    address: str
    sent: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The service is working on it; ``status`` is its own word, or the phase where it has not said one yet."""

    address: str
    status: str


@dataclass(frozen=True, slots=True)
class Reached:
    """The address is bound to a complete object."""

    address: str
    phase: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The state alone was put right, with no call: a binding moved or went, or the service had news."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The address could not be converged; ``error`` is a sentence for the user."""

    address: str
    error: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing was done for the address: what it depends on failed, or the run was asked to stop."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something the user should know that calls for no action."""

    address: str
    message: str


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A finished file was brought home; ``path`` as the user will find it."""

    address: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that no render wants any more was removed from the downloads folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run was asked to stop: nothing new starts, what is under way is finished and recorded."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The apply is over, whatever has ended it: also by an error, which then goes on to the caller."""

    applied: Applied


Event = (
    StepTaken
    | Uploading
    | Waiting
    | Reached
    | Recorded
    | Failed
    | Skipped
    | Noted
    | Downloaded
    | Removed
    | Stopping
    | Ended
)
Emit = Callable[[Event], None]
