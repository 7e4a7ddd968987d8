"""Reviewed: a plan that was saved, and whether it is still what would happen. Pure.

An apply of a saved plan looks at everything again, with the options that the plan was made with, and goes ahead only
where it would plan the very same: so a saved plan holds no orders that could be followed blindly, and no secret.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glossi_sync.errors import UserError
from glossi_sync.planning.change import Action, Change
from glossi_sync.planning.observe import Refresh
from glossi_sync.planning.scope import WHOLE, Scope
from glossi_sync.planning.survey import Survey
from glossi_sync.resources import Kind, Model
from glossi_sync.spec import Desired, Spec
from glossi_sync.state import Realised, Run


class PlanMoved(UserError):
    """A saved plan is no longer what would happen; the message says what has moved. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user lets a plan look at, and do."""

    scope: Scope = WHOLE
    refresh: Refresh = Refresh.LIVE
    retry_failed: bool = False
    in_doubt: str = "hold"
    allow_large_change: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """How a plan was made: what an apply of it needs to look at the same things again.

    ``spec_file`` is the spec's path as it was given; ``service`` an identity, ``endpoint`` the service's address where
    it was not the spec's; ``last_run`` the newest run of the state's history; ``seen`` what the service said that the
    state did not know, by address; ``at`` Unix seconds.
    """

    options: Options
    spec_file: str
    service: str
    endpoint: str | None = None
    last_run: int | None = None
    seen: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class ReviewedChange:
    """A change of a saved plan, as far as it decides what an apply does."""

    action: Action
    digest: str | None
    steps: tuple[str, ...]
    trouble: str | None
    moved_from: str | None
    waits: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A saved plan. ``name`` is how the user calls it; ``changes`` are by address."""

    name: str
    workspace: str
    spec: str
    lineage: str
    serial: int
    made: Made
    changes: Mapping[str, ReviewedChange]

    def check_spec(self, spec: Spec, service: str) -> None:
        """Whether it is of that spec, and for that service.

        Raises:
            PlanMoved: it is not.
        """
        if spec.workspace != self.workspace:
            raise self._moved(f"it is of the workspace {self.workspace!r}, and the spec's is {spec.workspace!r}")
        if service != self.made.service:
            raise self._moved(f"it is for the service {self.made.service}, and this run is for {service} (--endpoint)")
        if spec.fingerprint != self.spec:
            raise self._moved(
                "the spec has changed: its files, the variables that it uses (--var), or the rows of its catalogues"
            )

    def check_state(self, location: str, lineage: str) -> None:
        """Whether it is of the state at ``location``.

        Raises:
            PlanMoved: it is not.
        """
        if self.lineage and lineage != self.lineage:
            raise self._moved(f"it was made against another state than {location} (--state)")

    def check(self, surveyed: Survey, runs: Iterable[Run]) -> None:
        """Whether a fresh look plans the very same; ``runs`` are the state's history, newest first.

        What the service was at work on then, and has done by now, was expected. A shard's plan stands while other
        shards move the state, as long as they move nothing of its own.

        Raises:
            PlanMoved: it does not.
        """
        still = surveyed.plan.serial == self.serial
        inputs = self._changed_inputs(surveyed, still)
        if inputs:
            raise self._moved(_some(inputs))
        if not still and self.made.options.scope.shard is None:
            raise self._moved(self._who_moved_it(surveyed.plan.serial, runs))
        now = {change.address: change for change in surveyed.plan.changes}
        otherwise = [
            address for address in {**self.changes, **now} if not _same(self.changes.get(address), now.get(address))
        ]
        if otherwise:
            raise self._moved(_some([self._told(address, now.get(address)) for address in otherwise]))

    def _changed_inputs(self, surveyed: Survey, still: bool) -> list[str]:
        """The files, and templates, that are not what they were, in words; what follows from them is not named."""
        changed: dict[str, str] = {}
        for address, want in surveyed.part.items():
            if want.kind not in (Kind.MODEL, Kind.PROJECT) or any(parent in changed for parent in want.parents):
                continue
            former = self._former_digest(address, surveyed.realised, still)
            if former not in (None, want.digest):
                changed[address] = f"{_input(want)} has changed ({address})"
        return list(changed.values())

    def _former_digest(self, address: str, realised: Realised, still: bool) -> str | None:
        if address in self.changes:
            return self.changes[address].digest
        # What is not in the plan was as it should be; where the state has not moved, that is what is bound now.
        bound = realised.bound(address) if still else None
        return None if bound is None else bound.digest

    def _who_moved_it(self, serial: int, runs: Iterable[Run]) -> str:
        moved = f"the state has moved from serial {self.serial} to {serial}, by "
        since: list[str] = []
        for run in runs:
            if run.run_id == self.made.last_run:
                break
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
            since.append(f"`{run.command}` at {when} (run {run.run_id}, {run.outcome or 'which did not end'})")
        return moved + (_some(since) if since else "a command that the history does not tell of, such as `resolve`")

    def _told(self, address: str, now: Change | None) -> str:
        then = self.changes.get(address)
        was = "nothing was planned" if _is_quiet(then) else f"planned was {_in_words(then)}"
        would_be = "nothing is left to do" if _is_quiet(now) else f"it is {_in_words(now)}"
        return f"what is known of {address} has changed: {was}, and now {would_be}"

    def _moved(self, why: str) -> PlanMoved:
        return PlanMoved(f"{self.name} is no longer what would happen: {why}. Nothing was done: plan again.")


def _same(then: ReviewedChange | None, now: Change | None) -> bool:
    if _is_quiet(then) and _is_quiet(now):
        return True
    if then is not None and then.waits and not then.steps and then.trouble is None:
        return now is None or not (now.steps or now.trouble)
    if then is None or now is None:
        return False
    steps = tuple(step.name for step in now.steps)
    return (then.action, then.digest, then.steps, then.trouble, then.moved_from) == (
        now.action,
        now.digest,
        steps,
        now.trouble,
        now.moved_from,
    )


def _is_quiet(change: ReviewedChange | Change | None) -> bool:
    return change is None or (change.action is Action.NONE and change.trouble is None)


def _in_words(change: ReviewedChange | Change | None) -> str:
    assert change is not None
    return f"`{change.trouble or change.action}` ({change.reason})"


def _input(want: Desired) -> str:
    return want.inputs.file if isinstance(want.inputs, Model) else "the template"


def _some(reasons: Sequence[str], most: int = 3) -> str:
    more = len(reasons) - most
    return "; ".join(reasons[:most]) + (f"; and {more} more like it" if more > 0 else "")
