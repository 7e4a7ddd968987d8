"""What the modules of the kinds share while they take their steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from glossi_sync.applying.batching import Batcher
from glossi_sync.applying.events import Emit
from glossi_sync.applying.ledger import Ledger
from glossi_sync.applying.places import Places
from glossi_sync.applying.secrets import KeepSecret
from glossi_sync.applying.stop import Stop
from glossi_sync.applying.waiting import ModelWaits, RenderWaits
from glossi_sync.planning.change import Change
from glossi_sync.planning.decide import Policy
from glossi_sync.resources import Step
from glossi_sync.service import Glossi, ModelFile
from glossi_sync.spec import Desired
from glossi_sync.state import Object, Subject


class Failure(Exception):
    """An address that did not converge; the message is a sentence for the user. What depends on it is skipped."""


class NotWaitedFor(Exception):
    """An address on which the service is at work, in a run that does not wait; the message says what it is at."""


@dataclass(frozen=True, slots=True)
class Context:
    """The tools of one apply.

    ``batchers`` by group, ``groups`` the group of each batched step (planning's ``group_steps``); ``ahead`` bounds the
    bytes whose records wait for their upload (their URLs expire), ``uploads`` those that are sent at a time.
    """

    service: Glossi
    ledger: Ledger
    desired: Mapping[str, Desired]
    file_of: Callable[[str], ModelFile]
    policy: Policy
    model_waits: ModelWaits
    render_waits: RenderWaits
    batchers: Mapping[Hashable, Batcher[Any, Any]]
    groups: Mapping[tuple[str, str], Hashable]
    ahead: Places
    uploads: Places
    stop: Stop
    emit: Emit
    keep_secret: KeepSecret
    wait: bool = True

    def subject(self, address: str) -> Subject:
        """The subject of a mutating call for an address."""
        return Subject(address, self.desired[address].digest)

    def batcher(self, address: str, step: Step) -> Batcher[Any, Any] | None:
        """The batcher of an address's step, or None where it takes a call of its own."""
        group = self.groups.get((address, step.name))
        return None if group is None else self.batchers[group]

    def started(self, change: Change) -> Object | None:
        """The object that a change goes on with, where it makes no new one."""
        return None if change.oid is None else self.ledger.object(change.oid)
