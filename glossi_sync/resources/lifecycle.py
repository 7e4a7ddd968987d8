"""Steps and phases: how an object comes to be, as data.

A *step* is one mutating call's worth of progress; a *phase* is the last step that is known to be done, or what the
service has since said. Every kind has one ``Lifecycle``; planning reads from it which steps remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of objects, named as they stand at the head of an address."""

    MODEL = "model"
    PROJECT = "project"
    RENDER = "render"
    WEBHOOK = "webhook"


class Phase(StrEnum):
    """How far an object has come. ``LOST`` means that the service no longer knows it."""

    RECORDED = "recorded"
    UPLOADED = "uploaded"
    CONFIRMED = "confirmed"
    READY = "ready"
    CREATED = "created"
    QUEUED = "queued"
    COMPLETED = "completed"
    SET = "set"
    FAILED = "failed"
    LOST = "lost"


class InDoubt(StrEnum):
    """What a call without a known outcome asks of the next run (architecture, "The journal's discipline")."""

    ASK_AGAIN = "ask again"
    LOOK_FIRST = "look first"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a kind's lifecycle.

    ``call`` names the request as plans count it; ``phase`` is where the object stands once the step is known to be
    done; ``may_stray`` says that an in-doubt call may have left something at the service that nobody uses.
    """

    name: str
    call: str
    phase: Phase
    in_doubt: InDoubt
    may_stray: bool = False


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The steps of a kind in order, and the phases in which it is complete, failed, or worked on by the service."""

    kind: Kind
    steps: tuple[Step, ...]
    complete: Phase
    failed: Phase | None = None
    waiting: Phase | None = None
    retry: Step | None = None

    def remaining(self, phase: Phase | None) -> tuple[Step, ...]:
        """The steps still to be taken from ``phase`` on; all of them for None and for a lost object.

        Example: a model that is ``recorded`` has ``upload`` and ``confirm`` before it.
        """
        if phase is not None and phase in (self.complete, self.failed):
            return ()
        done = [index for index, step in enumerate(self.steps) if step.phase == phase]
        return self.steps[done[-1] + 1 :] if done else self.steps
