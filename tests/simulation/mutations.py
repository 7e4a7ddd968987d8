"""The rules of safety, each broken on purpose: what the simulation must find, or it is not worth its time.

A mutation takes pytest's monkeypatch; its docstring says the rule that it breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from glossi_sync.applying import batching, ledger, models, renders, resolve, waiting
from glossi_sync.applying.ledger import Ledger
from glossi_sync.planning import Action, decide
from glossi_sync.resources import Kind
from glossi_sync.resources.model import CONFIRM, RECORD, UPLOAD
from glossi_sync.resources.render import START
from glossi_sync.service import ServiceError, UploadExpired, client, retrying, uploads
from glossi_sync.service.calls import START_RENDERS
from glossi_sync.state import AddStray, Intend, MemoryState, PutObject, Settle, SqlState, Unbind
from glossi_sync.state.bucket import lease as bucket_lease
from glossi_sync.state.bucket.bucket_state import BucketState
from glossi_sync.state.bucket.lease import Lease

Mutation = Callable[[pytest.MonkeyPatch], None]


def skip_the_intent_row(patch: pytest.MonkeyPatch) -> None:
    """Before a mutating call, a row of the journal says what is about to be asked."""
    _drop_writes(patch, lambda write: isinstance(write, Intend | Settle))


def send_before_the_intent_is_committed(patch: pytest.MonkeyPatch) -> None:
    """The row is committed before the call leaves, not just on its way to the disk."""
    write = Ledger.write

    async def hurried(self: Ledger, *writes: Any) -> None:
        if isinstance(writes[0], Intend):
            asyncio.get_running_loop().create_task(write(self, *writes))
        else:
            await write(self, *writes)

    patch.setattr(Ledger, "write", hurried)


def forget_the_outcome(patch: pytest.MonkeyPatch) -> None:
    """After the call, its remote ids are committed, not just known to the running process."""
    _drop_commits(patch, lambda write: isinstance(write, PutObject) and write.object.kind is Kind.RENDER)


def never_settle(patch: pytest.MonkeyPatch) -> None:
    """After the call, its outcome is committed."""
    _drop_writes(patch, lambda write: isinstance(write, Settle))


def retry_a_doubtful_render(patch: pytest.MonkeyPatch) -> None:
    """A POST /renders in doubt is held, not asked again within the apply."""
    patch.setattr(ledger, "Doubt", SimpleNamespace(HOLD=None))


def retry_a_doubtful_render_over_http(patch: pytest.MonkeyPatch) -> None:
    """A POST /renders in doubt is not asked again by the service's client either."""
    worth = retrying.is_worth_repeating
    patch.setattr(
        retrying,
        "is_worth_repeating",
        lambda call, error: worth(replace(call, repeatable=True) if call is START_RENDERS else call, error),
    )


def halve_a_doubtful_batch(patch: pytest.MonkeyPatch) -> None:
    """A batch is sent in halves where it was refused, not where it is in doubt."""
    patch.setattr(batching, "Refused", ServiceError)
    patch.setattr(batching, "_MEMBER_MAY_BE_AT_FAULT", {None, 200, 500, 502, 503})


def take_doubt_for_refusal(patch: pytest.MonkeyPatch) -> None:
    """A call without an answer is in doubt; only one that was refused or never sent is certainly not done."""
    patch.setattr(ledger, "NotSent", ServiceError)


def start_what_is_held(patch: pytest.MonkeyPatch) -> None:
    """A render that an earlier apply may have started waits for the user."""
    patch.setattr(decide, "_doubts", lambda *_: ())


def hold_only_the_same_address(patch: pytest.MonkeyPatch) -> None:
    """A render that was renamed since is held like any other."""
    doubts = decide._doubts
    patch.setattr(
        decide,
        "_doubts",
        lambda want, *world: tuple(one for one in doubts(want, *world) if one[1].address == want.address),
    )


def answer_every_doubt_at_once(patch: pytest.MonkeyPatch) -> None:
    """The user's answer settles the doubt that was asked about, not an older one of another digest."""
    asked_about = resolve._doubts

    def every(address: str, surveyed: Any) -> Any:
        others = [
            (intent, subject)
            for intent in surveyed.realised.in_doubt
            for subject in intent.subjects
            if intent.step == START.name and subject.address == address
        ]
        return Everything([*asked_about(address, surveyed), *others])

    class Everything(list[Any]):
        def __getitem__(self, which: Any) -> Any:
            return self

    patch.setattr(resolve, "_doubts", every)


def ignore_the_lock(patch: pytest.MonkeyPatch) -> None:
    """Two applies never run on one state at the same time."""

    @contextmanager
    def open_door(*_: Any) -> Iterator[None]:
        yield

    for backend in (MemoryState, SqlState, BucketState):
        patch.setattr(backend, "lock", open_door)


def go_on_without_the_lock(patch: pytest.MonkeyPatch) -> None:
    """A run whose lease another one has taken writes nothing more."""
    patch.setattr(Lease, "ensure", lambda _: None)
    patch.setattr(BucketState, "_seal_before", lambda *_: None)


def take_a_living_lock(patch: pytest.MonkeyPatch) -> None:
    """A lock is taken only from a run that does not renew it."""
    patch.setattr(bucket_lease, "refuse_living", lambda *_: None)


def tell_projects_by_position(patch: pytest.MonkeyPatch) -> None:
    """Many projects made in one call are told apart by the models that the answer names."""
    read = client.read_created_projects

    def by_position(answer: Any, wanted: Any) -> Any:
        read(answer, wanted)
        ids = [project["projectId"] for project in answer["projects"]]
        return tuple(
            replace(one, project_id=project_id) for one, project_id in zip(read(answer, wanted), ids, strict=True)
        )

    patch.setattr(client, "read_created_projects", by_position)


def tell_renders_by_position(patch: pytest.MonkeyPatch) -> None:
    """Many renders started in one call are told apart by the projects that the answer names."""
    read = client.read_started_renders

    def by_position(answer: Any, wanted: Any) -> Any:
        ids = [job["jobId"] for job in answer["jobs"]]
        return tuple(replace(one, job_id=job_id) for one, job_id in zip(read(answer, wanted), ids, strict=True))

    patch.setattr(client, "read_started_renders", by_position)


def drop_the_notes_of_strays(patch: pytest.MonkeyPatch) -> None:
    """A call in doubt that is asked again leaves a note of what it may have made."""
    _drop_writes(patch, lambda write: isinstance(write, AddStray) and write.stray.remote_id is None)


def drop_the_expired_record(patch: pytest.MonkeyPatch) -> None:
    """A record whose URL has expired is remembered as a stray when another takes its place."""
    _drop_writes(patch, lambda write: isinstance(write, AddStray) and write.stray.remote_id is not None)


def adopt_another_digest(patch: pytest.MonkeyPatch) -> None:
    """An address takes over a remembered object only where it has the wanted digest."""
    adopt = decide._adopt

    def anything(desired: Any, kept: Any, world: Any, anew: Any) -> Any:
        adopted = adopt(desired, kept, world, anew)
        taken = {one.oid for one in (*kept.values(), *adopted.values())}
        for address, want in desired.items():
            if address not in kept and address not in adopted and want.kind is Kind.RENDER:
                for one in world.objects():
                    if one.kind is want.kind and one.oid not in taken and world.usable(one):
                        adopted[address] = one
                        taken.add(one.oid)
                        break
        return adopted

    patch.setattr(decide, "_adopt", anything)


def leave_the_binding_behind(patch: pytest.MonkeyPatch) -> None:
    """An object that moves to another address leaves the one that it had."""
    _drop_writes(patch, lambda write: isinstance(write, Unbind))


def take_another_models_status(patch: pytest.MonkeyPatch) -> None:
    """Of many models asked about in one call, each has its own status."""
    ask = waiting.ModelWaits._ask

    class Confused:
        def __init__(self, service: Any) -> None:
            self._service = service

        async def model_statuses(self, ids: Sequence[str]) -> Any:
            answer = await self._service.model_statuses(ids)
            models = [
                replace(one, model_id=other.model_id)
                for one, other in zip(answer.models, reversed(answer.models), strict=True)
            ]
            return replace(answer, models=tuple(models))

    async def confused(self: Any, asked: Any) -> None:
        service, self._service = self._service, Confused(self._service)
        try:
            await ask(self, asked)
        finally:
            self._service = service

    patch.setattr(waiting.ModelWaits, "_ask", confused)


def believe_that_it_is_done(patch: pytest.MonkeyPatch) -> None:
    """A render is complete when the service says so, not when it has begun."""
    patch.setattr(waiting, "SETTLED_RENDER", {"COMPLETED", "FAILED", "RENDERING"})
    wait = renders._wait

    async def hasty(address: str, context: Any) -> None:
        settled = context.render_waits.settled

        async def done(*arguments: Any) -> Any:
            job = await settled(*arguments)
            return job if job is None or job.status != "RENDERING" else replace(job, status="COMPLETED")

        context.render_waits.settled = done
        try:
            await wait(address, context)
        finally:
            context.render_waits.settled = settled

    patch.setattr(renders, "_wait", hasty)


def forget_that_a_parent_is_lost(patch: pytest.MonkeyPatch) -> None:
    """A project whose model the service has lost is made again."""
    patch.setattr(decide._World, "lost_parent", lambda *_: False)


def overlook_a_loss(patch: pytest.MonkeyPatch) -> None:
    """What the service no longer knows is made again."""
    patch.setattr(import_module("glossi_sync.planning.observe"), "_MODEL_PHASES", frozenset())


def keep_using_an_expired_url(patch: pytest.MonkeyPatch) -> None:
    """A URL that has expired is not used again and again."""

    async def stubborn(change: Any, context: Any) -> None:
        if RECORD in change.steps:
            url = await models._record(change, context)
        else:
            url = context.ledger.upload_url(context.ledger.bound_to(change.address))
        while True:
            try:
                return await models._upload(change.address, url, context)
            except UploadExpired:
                continue

    patch.setattr(models, "_send", stubborn)


def upload_whatever_lies_there(patch: pytest.MonkeyPatch) -> None:
    """A file that is no longer what was planned does not arrive."""

    async def unproven(_: Any, expected: Any, __: Any) -> AsyncIterator[bytes]:
        yield expected.file.path.read_bytes()[: expected.size].ljust(expected.size)

    patch.setattr(uploads, "_proven", unproven)


def take_an_unplanned_step(patch: pytest.MonkeyPatch) -> None:
    """An apply takes the steps that its plan has printed, and no others."""
    realise = models.realise

    async def thorough(change: Any, context: Any) -> None:
        if UPLOAD not in change.steps and CONFIRM not in change.steps:
            await models._confirm(change.address, context)
        await realise(change, context)

    # The package exports a function of the module's name.
    patch.setitem(import_module("glossi_sync.applying.apply").REALISE, Kind.MODEL, thorough)


def leave_the_webhook(patch: pytest.MonkeyPatch) -> None:
    """A webhook that leaves the spec leaves the service."""
    let_go = decide._let_go
    patch.setattr(
        decide, "_let_go", lambda address, world: replace(let_go(address, world), action=Action.FORGET, steps=())
    )


MUTATIONS: tuple[Mutation, ...] = (
    skip_the_intent_row,
    send_before_the_intent_is_committed,
    forget_the_outcome,
    never_settle,
    retry_a_doubtful_render,
    retry_a_doubtful_render_over_http,
    halve_a_doubtful_batch,
    take_doubt_for_refusal,
    start_what_is_held,
    hold_only_the_same_address,
    answer_every_doubt_at_once,
    ignore_the_lock,
    tell_projects_by_position,
    tell_renders_by_position,
    drop_the_notes_of_strays,
    drop_the_expired_record,
    adopt_another_digest,
    leave_the_binding_behind,
    take_another_models_status,
    believe_that_it_is_done,
    forget_that_a_parent_is_lost,
    overlook_a_loss,
    keep_using_an_expired_url,
    upload_whatever_lies_there,
    take_an_unplanned_step,
    leave_the_webhook,
)


BUCKET_MUTATIONS: tuple[Mutation, ...] = (go_on_without_the_lock, take_a_living_lock)
"""Those that show where the state lies in a bucket."""


def _drop_writes(patch: pytest.MonkeyPatch, which: Callable[[Any], bool]) -> None:
    write = Ledger.write

    async def dropping(self: Ledger, *writes: Any) -> None:
        left = [one for one in writes if not which(one)]
        if left:
            await write(self, *left)

    patch.setattr(Ledger, "write", dropping)


def _drop_commits(patch: pytest.MonkeyPatch, which: Callable[[Any], bool]) -> None:
    for backend in (MemoryState, SqlState, BucketState):
        write = backend.write

        def dropping(self: Any, writes: Sequence[Any], write: Any = write) -> None:
            write(self, [one for one in writes if not which(one)])

        patch.setattr(backend, "write", dropping)
