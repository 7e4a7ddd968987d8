"""Taking a model's steps: record, upload, confirm, and the wait until it is READY (guide, Steps 2.1 to 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import NoReturn

from glossi_sync.applying.context import Context, Failure, NotWaitedFor
from glossi_sync.applying.events import Reached, StepTaken, Uploading, Waiting
from glossi_sync.planning.change import Change
from glossi_sync.planning.explain import inputs_of
from glossi_sync.planning.observe import model_phase
from glossi_sync.resources import Kind, Model, Phase
from glossi_sync.resources.model import CONFIRM, RECORD, UPLOAD
from glossi_sync.service import CreatedModel, NewModel, Refused, UploadExpired
from glossi_sync.state import AddStray, Bind, Object, PutObject, Stray, Write

URL_LIFETIME = 3600.0
"""Seconds that a signed upload URL lives (guide, Step 2.1, note)."""

LARGE_FILE = 8 * 1024 * 1024
"""Bytes from which on a file is sent as one of a few, since it fills a connection; small ones mostly wait."""

SMALL_FOR_LARGE = 8
"""How many of the smallest files are sent in the place of a large one."""

AHEAD = 1024**3
"""Bytes of files that may be recorded and wait for their upload: at 300 kB/s their URLs do not expire yet."""

FILE_MAY_BE_GONE = frozenset({404, 409, 410, 412})
"""What a service may answer to the confirmation of a file that it does not have."""

RECORDS_A_MODEL = 3
"""How often a model is recorded again when its URL has expired before its upload began: never without end."""


async def realise(change: Change, context: Context) -> None:
    """Take the change's steps, then wait until the model is READY.

    Raises:
        Failure: the model failed at the service, or got lost there.
        NotWaitedFor: the service processes it, and this run does not wait.
        ServiceError, FileChanged, StateError, Stopped: as the step that was being taken raises them.
    """
    if UPLOAD in change.steps:
        await _send(change, context)
    if CONFIRM in change.steps:
        await _confirm(change.address, context)
    if change.waits:
        await _wait(change.address, context)


async def record_all(changes: Sequence[Change], context: Context) -> list[str]:
    """Record many models in one call, and answer their upload URLs in the same order."""
    wanted = [_new_model(change, context) for change in changes]

    def record(created: Sequence[CreatedModel]) -> list[Write]:
        return [
            write for change, one in zip(changes, created, strict=True) for write in _recorded(change, one, context)
        ]

    created = await context.ledger.call(
        RECORD,
        [context.subject(change.address) for change in changes],
        lambda: context.service.create_models(wanted),
        record,
    )
    for change, one in zip(changes, created, strict=True):
        context.emit(StepTaken(change.address, RECORD.name, one.model_id))
    return [one.upload_url for one in created]


async def _send(change: Change, context: Context) -> None:
    size = max(_model(change.address, context).size, LARGE_FILE // SMALL_FOR_LARGE)
    async with AsyncExitStack() as ahead:
        await ahead.enter_async_context(context.ahead.take(size))
        if RECORD in change.steps:
            url = await _record(change, context)
        else:
            url = context.ledger.upload_url(context.ledger.bound_to(change.address))
        async with context.uploads.take(min(size, LARGE_FILE)):
            await ahead.aclose()  # its URL is used now
            for attempt in range(1, RECORDS_A_MODEL + 1):
                try:
                    return await _upload(change.address, url, context)
                except UploadExpired:
                    if attempt == RECORDS_A_MODEL:
                        raise
                    [url] = await record_all([change], context)


async def _record(change: Change, context: Context) -> str:
    batcher = context.batcher(change.address, RECORD)
    if batcher is None:
        [url] = await record_all([change], context)
        return url
    answer: str = await batcher.submit(change)
    return answer


async def _upload(address: str, url: str, context: Context) -> None:
    model = _model(address, context)
    one = context.ledger.object(context.ledger.bound_to(address))
    uploaded = replace(one, phase=Phase.UPLOADED, since=context.ledger.clock(), expires=None)
    await context.ledger.call(
        UPLOAD,
        [context.subject(address)],
        lambda: context.service.upload(
            url,
            context.file_of(address),
            file_type=model.file_type,
            size=model.size,
            sha256=model.sha256,
            progress=lambda sent: context.emit(Uploading(address, sent, model.size)),
        ),
        lambda _: [PutObject(uploaded)],
    )
    context.emit(StepTaken(address, UPLOAD.name, one.remote_id))


async def _confirm(address: str, context: Context) -> None:
    model_id = context.ledger.remote_id(address)
    one = context.ledger.object(context.ledger.bound_to(address))
    confirmed = replace(one, phase=Phase.CONFIRMED, since=context.ledger.clock())

    async def ask() -> None:
        await context.service.confirm_model(model_id, _model(address, context).file_type)

    async def look() -> bool | None:
        """A confirm that has arrived shows in the status, unless the model still waits for its turn."""
        statuses = await context.service.model_statuses([model_id])
        known = {model_phase(Phase.UPLOADED, status) for status in statuses.models}
        return None if known <= {Phase.UPLOADED} else True

    async def confirm() -> bool:
        await ask()
        return True

    subjects = [context.subject(address)]
    try:
        await context.ledger.call(CONFIRM, subjects, confirm, lambda _: [PutObject(confirmed)], look=look)
    except Refused as refusal:
        if refusal.status not in FILE_MAY_BE_GONE:
            raise
        if await look() is None:
            await _give_up_record(one, model_id, refusal, context)
        await context.ledger.write(PutObject(confirmed))
    context.emit(StepTaken(address, CONFIRM.name, model_id))


async def _give_up_record(one: Object, model_id: str, refusal: Refused, context: Context) -> NoReturn:
    """The file was sent, and the service says that it has none: its record is of no more use."""
    now = context.ledger.clock()
    stray = AddStray(Stray(Kind.MODEL, model_id, "its file was lost before it was confirmed", now))
    await context.ledger.write(PutObject(replace(one, phase=Phase.LOST, since=now)), stray)
    told = f": {refusal.message}" if refusal.message else ""
    raise Failure(f"the service does not confirm its upload ({refusal.status}{told}); the next apply makes it again")


async def _wait(address: str, context: Context) -> None:
    model_id = context.ledger.remote_id(address)
    context.emit(Waiting(address, Phase.CONFIRMED))
    if not context.wait:
        raise NotWaitedFor("the service processes it")
    status = await context.stop.race(context.model_waits.settled(model_id))
    one = context.ledger.object(context.ledger.bound_to(address))
    now = context.ledger.clock()
    if status is None:
        await context.ledger.write(PutObject(replace(one, phase=Phase.LOST, since=now)))
        raise Failure(f"the service no longer knows its model {model_id}; the next apply makes it again")
    if not status.ready:
        await context.ledger.write(PutObject(replace(one, phase=Phase.FAILED, since=now, error=status.error_message)))
        raise Failure(f"the service could not process it: {status.error_message or 'it gave no reason'}")
    await context.ledger.write(PutObject(replace(one, phase=Phase.READY, since=now, error=None)))
    context.emit(Reached(address, Phase.READY))


def _recorded(change: Change, created: CreatedModel, context: Context) -> list[Write]:
    """The object of a model that has just been recorded; the record that it had before, if any, is a stray now."""
    want, now = context.desired[change.address], context.ledger.clock()
    former = context.started(change) or context.ledger.at(change.address)
    if former is not None and (former.digest != want.digest or former.phase is not Phase.RECORDED):
        former = None
    writes: list[Write] = []
    if former is not None and former.remote_id is not None:
        reason = "its upload URL expired before the file was sent"
        writes.append(AddStray(Stray(Kind.MODEL, former.remote_id, reason, now)))
    oid = context.ledger.new_id() if former is None else former.oid
    one = Object(
        oid=oid,
        kind=Kind.MODEL,
        digest=want.digest,
        phase=Phase.RECORDED,
        label=created.name,
        remote_id=created.model_id,
        since=now,
        expires=now + URL_LIFETIME,
    )
    put = PutObject(one, inputs=inputs_of(want), upload_url=created.upload_url)
    return [*writes, put, Bind(change.address, oid)]


def _new_model(change: Change, context: Context) -> NewModel:
    model = _model(change.address, context)
    name = context.desired[change.address].label or change.address
    return NewModel(name=name, file_name=context.file_of(change.address).name, file_type=model.file_type)


def _model(address: str, context: Context) -> Model:
    inputs = context.desired[address].inputs
    assert isinstance(inputs, Model)
    return inputs
