"""The ledger: the journal's discipline, in one place (architecture, "The journal's discipline").

    1. before a mutating call, one committed row says what is about to be asked, for which digests
    2. the call
    3. its outcome and the remote ids, committed

Whoever wants to ask the service for a change goes through ``Ledger.call``. Writes that come together are committed
together: the cost of a commit is shared, its durability is not given up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar, cast

from glossi_sync.applying.stop import Stop
from glossi_sync.resources import InDoubt as Doubt
from glossi_sync.resources import Step, kind_of
from glossi_sync.service import FileChanged, InDoubt, NotSent, Refused, RunBlocking
from glossi_sync.state import (
    AddStray,
    Bind,
    Intend,
    Intent,
    Object,
    PutObject,
    Realised,
    Settle,
    State,
    Stray,
    Subject,
    Unbind,
    Write,
)

T = TypeVar("T")

Subjects = tuple[Subject, ...]
Doubted = tuple[int, Subjects]
"""A row of the journal, and whom it is still in doubt for."""

ASK_AGAIN_TIMES = 3
"""How often a call in doubt that may be asked again is asked again within one apply."""


class Ledger:
    """What is known of every object during an apply, and the only way to change it.

    ``at`` answers at once from memory; ``write`` returns when the writes are durable. ``run_blocking`` commits off the
    event loop.
    """

    def __init__(
        self,
        state: State,
        realised: Realised,
        *,
        run_id: int,
        stop: Stop,
        clock: Callable[[], float],
        rng: Random,
        run_blocking: RunBlocking = asyncio.to_thread,
    ) -> None:
        self.run_id = run_id
        self.clock = clock
        self.steps: Counter[str] = Counter()
        self.in_doubt = realised.in_doubt
        self._state = state
        self._objects = dict(realised.objects)
        self._bindings = dict(realised.bindings)
        self._stop = stop
        self._rng = rng
        self._run_blocking = run_blocking
        self._pending: list[tuple[Sequence[Write], asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    def new_id(self) -> int:
        """A fresh id for an object, a call or a run."""
        return new_id(self._rng)

    def at(self, address: str) -> Object | None:
        """The object that an address is bound to now."""
        oid = self._bindings.get(address)
        return None if oid is None else self._objects.get(oid)

    def object(self, oid: int) -> Object:
        """The object with an oid that is known to exist."""
        return self._objects[oid]

    def bound_to(self, address: str) -> int:
        """The oid that an address is bound to; it is an error of the program to ask before it is bound."""
        return self._bindings[address]

    def remote_id(self, address: str) -> str:
        """The service's id of what an address is bound to; it is an error of the program to ask before it has one."""
        remote_id = self._objects[self._bindings[address]].remote_id
        assert remote_id is not None
        return remote_id

    def upload_url(self, oid: int) -> str:
        """The signed URL of a model that an earlier run has recorded."""
        return self._state.upload_urls([oid])[oid]

    async def write(self, *writes: Write) -> None:
        """Write, durably.

        Raises:
            StateError: it could not be written; nothing of it was.
        """
        for write in writes:
            match write:
                case PutObject(object=one):
                    self._objects[one.oid] = one
                case Bind(address=address, oid=oid):
                    self._bindings[address] = oid
                case Unbind(address=address):
                    self._bindings.pop(address, None)
                case _:
                    pass
        committed = asyncio.get_running_loop().create_future()
        self._pending.append((writes, committed))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        await committed

    async def call(
        self,
        step: Step,
        subjects: Sequence[Subject],
        ask: Callable[[], Awaitable[T]],
        record: Callable[[T], Sequence[Write]],
        look: Callable[[], Awaitable[T | None]] | None = None,
    ) -> T:
        """Make one mutating call under the journal's discipline.

        ``ask`` makes the call, ``record`` turns its answer into writes, ``look`` finds out (with reads alone) whether
        a call in doubt was done after all, and answers None where it was not. A call in doubt is asked again within
        bounds where its step allows that; one that must be held stays unsettled in the journal. One that was asked
        again stays so until an answer is heard: a later refusal says nothing of it. ``record`` hears of an answer in
        part as well, before ``ask`` asks again: for the rest alone.

        Raises:
            Stopped: the run was asked to stop before the call was made.
            NotSent, Refused, FileChanged: the call was certainly not done; so it is recorded.
            InDoubt: it is not known whether it was done.
            StateError: the journal could not be written; if that was before the call, the call was not made.
        """
        left = tuple(subjects)
        doubted: list[Doubted] = []
        for attempt in range(1, ASK_AGAIN_TIMES + 1):
            self._stop.check()
            call_id = self.new_id()
            await self.write(self._intend(call_id, step, left))
            try:
                answer = await ask()
            except (NotSent, Refused) as error:
                outcome = "not sent" if isinstance(error, NotSent) else f"refused: {error.status}"
                await self.write(Settle(call_id, outcome, self.clock()))
                raise
            except FileChanged:
                # Its last piece never left, so nothing of it is there.
                await self.write(Settle(call_id, "broken off: the file is not what was planned", self.clock()))
                raise
            except InDoubt as doubt:
                if doubt.partial:
                    # What the answer does name is certainly done; in doubt is the rest.
                    done = record(cast(T, doubt.partial))
                    rest = _unnamed(left, done)
                    if not rest:
                        surplus = AddStray(Stray(kind_of(left[0].address), None, _surplus(step, left), self.clock()))
                        await self._close(call_id, step, left, [*done, surplus], doubted)
                        return cast(T, doubt.partial)
                    call_id = await self._answered_in_part(call_id, step, rest, done)
                    self.steps[step.name] += len(left) - len(rest)
                    left = rest
                if step.in_doubt is Doubt.HOLD or attempt == ASK_AGAIN_TIMES:
                    raise
                found = await look() if look is not None else None
                if found is None:
                    doubted.append((call_id, left))
                    continue
                answer = found
            await self._close(call_id, step, left, record(answer), doubted)
            return answer
        raise AssertionError("the last attempt returns or raises")

    async def _close(
        self, call_id: int, step: Step, subjects: Subjects, writes: Sequence[Write], doubted: Sequence[Doubted]
    ) -> None:
        """Record an answer; the askings before it that nobody has answered are over as well."""
        asked_again = [write for one, of in doubted for write in settle_doubt(one, step, of, self.clock())]
        await self.write(*writes, *asked_again, Settle(call_id, "done", self.clock()))
        self.steps[step.name] += len(subjects)

    async def _answered_in_part(self, call_id: int, step: Step, rest: Subjects, done: Sequence[Write]) -> int:
        """Record a part of an answer; those that it does not name get a row of their own, whose id is answered."""
        theirs = self.new_id()
        settled = Settle(call_id, "answered in part", self.clock())
        await self.write(*done, settled, self._intend(theirs, step, rest))
        return theirs

    def _intend(self, call_id: int, step: Step, subjects: Subjects) -> Intend:
        return Intend(Intent(call_id, self.run_id, step.name, step.call, subjects, self.clock()))

    async def close(self) -> None:
        """Wait until everything handed over is committed."""
        while self._committing is not None:
            await asyncio.wait((self._committing,))

    async def _commit_all(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await self._run_blocking(self._state.write, [write for writes, _ in batch for write in writes])
            except Exception as error:
                for _, committed in batch:
                    if not committed.done():
                        committed.set_exception(error)
            else:
                for _, committed in batch:
                    if not committed.done():
                        committed.set_result(None)
        self._committing = None


def new_id(rng: Random) -> int:
    """63 random bits: an id that several runners can make without asking one another."""
    return rng.getrandbits(63)


def settle_doubt(call_id: int, step: Step, subjects: Sequence[Subject], at: float) -> list[Write]:
    """Close a call in doubt whose question is asked again, remembering what it may have left behind."""
    writes: list[Write] = [Settle(call_id, "in doubt, asked again", at)]
    if step.may_stray:
        reason = f"{step.call} for {', '.join(one.address for one in subjects)} was in doubt and asked again"
        writes.append(AddStray(Stray(kind_of(subjects[0].address), None, reason, at)))
    return writes


def _unnamed(subjects: Subjects, done: Sequence[Write]) -> Subjects:
    """Those that the writes do not bind."""
    named = {write.address for write in done if isinstance(write, Bind)}
    return tuple(subject for subject in subjects if subject.address not in named)


def _surplus(step: Step, subjects: Subjects) -> str:
    """Why an answer that names everything is in doubt nevertheless."""
    addresses = ", ".join(one.address for one in subjects)
    return f"{step.call} for {addresses} was in doubt: it was answered with more than was asked for"
