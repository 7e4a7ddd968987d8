"""The scheduler: take what is unblocked, start it, wait for any to finish, unblock more. No stage waits for another."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from glossi_sync.applying import models, projects, renders, webhook
from glossi_sync.applying.batching import Batcher
from glossi_sync.applying.context import Context, Failure, NotWaitedFor
from glossi_sync.applying.events import Emit, Ended, Failed, Noted, Recorded, Skipped
from glossi_sync.applying.hearing import hear_events
from glossi_sync.applying.ledger import Ledger, settle_doubt
from glossi_sync.applying.places import Places
from glossi_sync.applying.secrets import KeepSecret
from glossi_sync.applying.stop import Stop, Stopped
from glossi_sync.applying.waiting import Ear, ModelWaits, RenderWaits
from glossi_sync.planning import Action, Change, LargeChange, Plan, Policy, allowance
from glossi_sync.planning.estimate import group_steps
from glossi_sync.planning.explain import inputs_of
from glossi_sync.resources import STEPS, Kind, Phase
from glossi_sync.service import MUTATING, FileChanged, Glossi, ModelFile, RunBlocking, ServiceError, Unauthorized
from glossi_sync.spec import Desired
from glossi_sync.state import Bind, Object, PutObject, PutRun, Realised, Run, State, StateError, Unbind, Write

MOST_AT_A_TIME = 4096
"""Addresses that are worked on (or waited for) at a time: bounds memory, not speed."""

REALISE = {
    Kind.MODEL: models.realise,
    Kind.PROJECT: projects.realise,
    Kind.RENDER: renders.realise,
    Kind.WEBHOOK: webhook.realise,
}

SEND: Mapping[str, Callable[..., Any]] = {
    "record": models.record_all,
    "create": projects.create_per_model,
    "start": renders.start_all,
}
"""How the batched steps are sent, by step name."""

DOWNSTREAM_FIRST = {Kind.RENDER: 0, Kind.PROJECT: 1, Kind.WEBHOOK: 2, Kind.MODEL: 3}
"""What is nearest to a finished picture goes first."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an apply works with, besides its plan.

    ``file_of`` finds the file of a model by its address; ``keep_secret`` keeps the webhook's secret and says where;
    ``uploads`` is how many large files are sent at a time; ``clock`` tells Unix seconds; ``run_blocking`` commits to
    the state off the event loop. ``hears`` where a webhook's receiver may keep events beside the state meanwhile.
    Without ``wait`` nothing is waited for that the service works on.
    """

    service: Glossi
    state: State
    desired: Mapping[str, Desired]
    realised: Realised
    file_of: Callable[[str], ModelFile]
    policy: Policy
    emit: Emit
    stop: Stop
    keep_secret: KeepSecret
    clock: Callable[[], float]
    rng: Random
    uploads: int = 8
    run_blocking: RunBlocking = asyncio.to_thread
    hears: bool = False
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did. ``failed`` tells why, by address; ``skipped`` are those that were not gone on with;
    ``under_way`` those that were not waited for: the service works on them, or on what they are made from.

    ``steps`` were taken and recorded, ``calls`` are the mutating requests that were sent.
    """

    run_id: int
    steps: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    under_way: Mapping[str, str] = field(default_factory=dict)
    stopped: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to tell: nothing was done, and nothing went wrong."""
        return self.converged and not self.steps and not self.calls

    @property
    def converged(self) -> bool:
        """Whether every address of the spec is bound to a complete object now."""
        return not (self.failed or self.skipped or self.under_way or self.stopped)


async def apply(plan: Plan, setup: Setup, *, run_id: int, command: str) -> Applied:
    """Do what the plan says; the state's lock is held by the caller. Where there is nothing to do, nothing is written.

    Raises:
        StateError: the state cannot be written. Nothing is asked of the service after that.
        Unauthorized: the service does not accept the key (any more).
        LargeChange: the guard refuses the plan; nothing was done.
    """
    if plan.excess is not None:
        raise LargeChange(plan.excess)
    schedule = _Schedule(plan, setup.desired)
    if plan.is_settled:
        return Applied(run_id, failed=schedule.failed)
    ledger = Ledger(
        setup.state,
        setup.realised,
        run_id=run_id,
        stop=setup.stop,
        clock=setup.clock,
        rng=setup.rng,
        run_blocking=setup.run_blocking,
    )
    before = Counter(setup.service.calls)
    run = Run(run_id, command, started=setup.clock())
    await ledger.write(PutRun(run), *_opening(plan, setup, ledger))
    context = _context(plan, setup, ledger)
    hearing = _begin_to_hear(setup, context)
    try:
        await _work(schedule, context)
    finally:
        if hearing is not None:
            hearing.cancel()
            await asyncio.wait((hearing,))
        await context.model_waits.close()
        await context.render_waits.close()
        taken = Counter(setup.service.calls) - before
        calls = {call: count for call, count in taken.items() if call in MUTATING}
        applied = Applied(
            run_id,
            dict(ledger.steps),
            calls,
            schedule.failed,
            schedule.skipped,
            schedule.under_way,
            setup.stop.requested,
        )
        setup.emit(Ended(applied))
        ended = replace(run, ended=setup.clock(), outcome=_outcome(applied), steps=applied.steps, calls=applied.calls)
        await ledger.write(PutRun(ended))
        await ledger.close()
    return applied


def _begin_to_hear(setup: Setup, context: Context) -> asyncio.Task[None] | None:
    if not setup.hears:
        return None
    hearing = hear_events(setup.state, context.model_waits, context.render_waits, setup.run_blocking)
    return asyncio.create_task(hearing)


def _outcome(applied: Applied) -> str:
    if applied.stopped:
        return "stopped"
    if applied.failed or applied.skipped:
        return "converged in part"
    return "under way" if applied.under_way else "converged"


async def _work(schedule: _Schedule, context: Context) -> None:
    """The loop. It ends when nothing runs and nothing can be started."""
    running: dict[asyncio.Task[None], Change] = {}
    finished: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
    try:
        while True:
            while len(running) < MOST_AT_A_TIME and not context.stop.requested and schedule.ready:
                change = schedule.take()
                task = asyncio.create_task(REALISE[change.kind](change, context))
                running[task] = change
                task.add_done_callback(finished.put_nowait)
            if not running:
                break
            task = await finished.get()
            _finish(running.pop(task), task, schedule, context)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    schedule.skip_the_rest("the run was asked to stop", context)


def _finish(change: Change, task: asyncio.Task[None], schedule: _Schedule, context: Context) -> None:
    try:
        task.result()
    except (StateError, Unauthorized):
        raise
    except Stopped:
        schedule.skipped[change.address] = "the run was asked to stop"
    except NotWaitedFor as left:
        schedule.leave(change, str(left), context)
    except (Failure, ServiceError, FileChanged, OSError) as error:
        context.emit(Failed(change.address, str(error)))
        schedule.fail(change, str(error), context)
    else:
        schedule.unblock(change)


def _opening(plan: Plan, setup: Setup, ledger: Ledger) -> list[Write]:
    """What needs no call: what the service has said, bindings that move or go, calls in doubt that are asked again."""
    now = setup.clock()
    writes: list[Write] = list(plan.settled)
    for oid, seen in plan.seen.items():
        known = setup.realised.objects[oid]
        writes.append(PutObject(replace(known, phase=seen.phase, error=seen.error, since=now), files=seen.files))
    for intent in plan.abandoned:
        writes += settle_doubt(intent.call_id, STEPS[intent.step], intent.subjects, now)
    here = {change.address for change in plan.changes}
    for change in plan.changes:
        moved = change.oid is not None or change.moved_from not in setup.desired
        # The binding of an address that this run is not about is another run's, which may have replaced it by now.
        ours = change.moved_from in here or change.moved_from not in setup.desired
        if change.moved_from is not None and moved and ours:
            # Before any binding is made: what has moved may have been replaced there, by another move. An address that
            # waits for its new object has none until then: no object ever has two addresses.
            writes.append(Unbind(change.moved_from))
    for change in plan.changes:
        if change.action is Action.FORGET:
            writes.append(Unbind(change.address))
        elif change.kind is Kind.WEBHOOK:
            writes += _found_webhook(change, setup, ledger)
        elif change.action is Action.ADOPT and change.oid is not None:
            writes.append(Bind(change.address, change.oid))
        if change.note is not None:
            setup.emit(Noted(change.address, change.note))
        if change.acts and not change.steps and not change.waits:
            setup.emit(Recorded(change.address, change.action))
    return writes


def _found_webhook(change: Change, setup: Setup, ledger: Ledger) -> list[Write]:
    """The service has the wanted webhook already (adopt), or one that is to go (remove), and the state does not know:
    somebody else made it, or a call whose answer was not heard. From now on it is the state's.
    """
    bound = setup.realised.bound(change.address)
    found = change.action is Action.ADOPT or (change.action is Action.REMOVE and bound is None)
    if not found or change.digest is None:
        return []
    want = setup.desired.get(change.address)
    one = Object(
        oid=ledger.new_id() if bound is None else bound.oid,
        kind=Kind.WEBHOOK,
        digest=change.digest,
        phase=Phase.SET,
        remote_id=None if bound is None else bound.remote_id,
        since=setup.clock(),
    )
    return [PutObject(one, inputs=None if want is None else inputs_of(want)), Bind(change.address, one.oid)]


def _context(plan: Plan, setup: Setup, ledger: Ledger) -> Context:
    groups = group_steps(plan.changes, setup.desired)
    batchers: dict[Hashable, Batcher[Any, Any]] = {}
    ear = Ear()
    context = Context(
        service=setup.service,
        ledger=ledger,
        desired=setup.desired,
        file_of=setup.file_of,
        policy=setup.policy,
        model_waits=ModelWaits(setup.service, ear),
        render_waits=RenderWaits(setup.service, ear),
        batchers=batchers,
        groups=groups,
        ahead=Places(models.AHEAD),
        uploads=Places(setup.uploads * models.LARGE_FILE),
        stop=setup.stop,
        emit=setup.emit,
        keep_secret=setup.keep_secret,
        wait=setup.wait,
    )
    for group, members in Counter(groups.values()).items():
        send = partial(SEND[group[0]], context=context)
        batchers[group] = Batcher(send, expected=members, calls=allowance(members), stop=setup.stop)
    return context


class _Schedule:
    """Which changes wait for which. Those whose parents are done are ready, downstream first."""

    def __init__(self, plan: Plan, desired: Mapping[str, Desired]) -> None:
        acting = {change.address: change for change in plan.changes if change.steps or change.waits}
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.under_way: dict[str, str] = {}
        for change in plan.troubled():
            self.failed[change.address] = change.reason
        self._blocked: dict[str, int] = {}
        self._changes = acting
        self._children: dict[str, list[str]] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._order = {address: number for number, address in enumerate(acting)}
        for address in acting:
            want = desired.get(address)
            parents = [parent for parent in dict.fromkeys(want.parents) if parent in acting] if want is not None else []
            for parent in parents:
                self._children.setdefault(parent, []).append(address)
            if parents:
                self._blocked[address] = len(parents)
            else:
                self._push(address)

    @property
    def ready(self) -> bool:
        return bool(self._ready)

    def take(self) -> Change:
        return self._changes.pop(heapq.heappop(self._ready)[2])

    def unblock(self, change: Change) -> None:
        for child in self._children.get(change.address, ()):
            if child in self._blocked:
                self._blocked[child] -= 1
                if self._blocked[child] == 0:
                    del self._blocked[child]
                    self._push(child)

    def fail(self, change: Change, error: str, context: Context) -> None:
        """A change failed: what depends on it is skipped, and will not come to any batcher."""
        self.failed[change.address] = error
        for child in self._give_up_children(change, context):
            self.skipped[child] = f"{change.address} failed"
            context.emit(Skipped(child, f"{change.address} failed"))

    def leave(self, change: Change, reason: str, context: Context) -> None:
        """The service is at work on a change, and nobody waits for it: what depends on it is left to a later apply."""
        self.under_way[change.address] = reason
        for child in self._give_up_children(change, context):
            self.under_way[child] = f"waits for {change.address}"

    def _give_up_children(self, change: Change, context: Context) -> Iterable[str]:
        for child in self._descendants(change.address):
            for step in child.steps:
                batcher = context.batcher(child.address, step)
                if batcher is not None:
                    batcher.withdraw()
            yield child.address

    def skip_the_rest(self, reason: str, context: Context) -> None:
        for address in (*self._blocked, *(address for _, _, address in self._ready)):
            self.skipped.setdefault(address, reason)
            context.emit(Skipped(address, reason))

    def _descendants(self, address: str) -> Iterable[Change]:
        for child in self._children.get(address, ()):
            if self._blocked.pop(child, None) is not None:
                yield self._changes.pop(child)
                yield from self._descendants(child)

    def _push(self, address: str) -> None:
        heapq.heappush(self._ready, (DOWNSTREAM_FIRST[self._changes[address].kind], self._order[address], address))
