"""What can be written to a state: each a small value, so that a backend is a fold over them.

A backend takes a sequence of writes in one transaction (``State.write``): all of them are durable when it returns, or
none is. The cost of a write does not grow with the number of objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glossi_sync.state.objects import Download, Intent, Object, RenderedFile, Run, Stray


@dataclass(frozen=True, slots=True)
class PutObject:
    """Insert or replace an object. What is None beside it is left as it was.

    ``inputs`` explains a later replace (JSON values, see planning's explanation); ``upload_url`` is the signed URL of a
    recorded model, a secret that no command shows: an object in any other phase has none, and one that it had is wiped;
    ``files`` are a completed render's results.
    """

    object: Object
    inputs: Mapping[str, Any] | None = None
    upload_url: str | None = None
    files: Sequence[RenderedFile] | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind an address to an object; a binding that the address had is replaced."""

    address: str
    oid: int


@dataclass(frozen=True, slots=True)
class Unbind:
    """Forget an address's binding; its object stays remembered."""

    address: str


@dataclass(frozen=True, slots=True)
class Intend:
    """Write down a mutating call before it is made. A ``call_id`` that the journal has already is refused."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Settle:
    """Write down a call's outcome: ``done``, ``not sent``, ``refused: …``, or how a doubt was resolved.

    A ``call_id`` that the journal does not have is refused.
    """

    call_id: int
    outcome: str
    at: float


@dataclass(frozen=True, slots=True)
class AddStray:
    """Remember something that exists at the service and is not used."""

    stray: Stray


@dataclass(frozen=True, slots=True)
class PutRun:
    """Insert or replace a run of the history; the bindings as they are then are remembered as the run's."""

    run: Run


@dataclass(frozen=True, slots=True)
class PutSecret:
    """Keep a secret, sealed (``secrets.seal``), under a name."""

    name: str
    sealed: str


@dataclass(frozen=True, slots=True)
class PutDownload:
    """Remember which rendered file lies at a path."""

    download: Download


@dataclass(frozen=True, slots=True)
class DropDownload:
    """Forget what lies at a path: the file was removed."""

    path: str


Write = PutObject | Bind | Unbind | Intend | Settle | AddStray | PutRun | PutSecret | PutDownload | DropDownload


def changes_realised(writes: Sequence[Write]) -> bool:
    """Whether a transaction of ``writes`` counts the state's serial up: it touches objects or bindings."""
    return any(isinstance(write, PutObject | Bind | Unbind) for write in writes)
