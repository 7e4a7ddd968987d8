"""Taking a render's steps: start, or retry, and the wait until it is COMPLETED (guide, Steps 4 and 5).

A render that fails at the service is retried within the same apply, until the spec's ``retries`` are used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glossi_sync.applying.context import Context, Failure, NotWaitedFor
from glossi_sync.applying.events import Reached, StepTaken, Waiting
from glossi_sync.planning.change import Change
from glossi_sync.planning.explain import inputs_of
from glossi_sync.planning.observe import finished_files, render_job
from glossi_sync.resources import Kind, Phase, Render
from glossi_sync.resources.render import RETRY, START
from glossi_sync.service import NotFound, StartedRender
from glossi_sync.state import Bind, Object, PutObject, Write


async def realise(change: Change, context: Context) -> None:
    """Take the change's steps, then wait until the render is COMPLETED.

    Raises:
        Failure: the render failed for good, or got lost at the service.
        NotWaitedFor: the service renders it, and this run does not wait.
        ServiceError, StateError, Stopped: as the step that was being taken raises them.
    """
    if START in change.steps:
        await _start(change, context)
    if RETRY in change.steps:
        await _retry(change.address, context)
    if change.waits:
        await _wait(change.address, context)
    context.emit(Reached(change.address, Phase.COMPLETED))


async def start_all(changes: Sequence[Change], context: Context) -> list[None]:
    """Start many renders of one group of settings in one call; jobs are told apart by their project."""
    by_project = {context.ledger.remote_id(context.desired[change.address].parents[0]): change for change in changes}
    inputs = context.desired[changes[0].address].inputs
    assert isinstance(inputs, Render)

    def record(started: Sequence[StartedRender]) -> list[Write]:
        return [write for one in started for write in _started(by_project[one.project_id], one, context)]

    started = await context.ledger.call(
        START,
        [context.subject(change.address) for change in changes],
        lambda: context.service.start_renders(list(by_project), inputs.settings),
        record,
    )
    for one in started:
        context.emit(StepTaken(by_project[one.project_id].address, START.name, one.job_id))
    return [None] * len(changes)


async def _start(change: Change, context: Context) -> None:
    batcher = context.batcher(change.address, START)
    project = context.desired[change.address].parents[0]
    try:
        if batcher is None:
            await start_all([change], context)
        else:
            await batcher.submit(change)
    except NotFound as error:
        # The service cannot be asked about a project, so this refusal is the only sign that it has lost one.
        lost = context.ledger.object(context.ledger.bound_to(project))
        await context.ledger.write(PutObject(replace(lost, phase=Phase.LOST, since=context.ledger.clock())))
        raise Failure(f"{error} The next apply makes {project} again.") from error


async def _retry(address: str, context: Context) -> None:
    one = context.ledger.object(context.ledger.bound_to(address))
    job_id = context.ledger.remote_id(address)
    queued = replace(one, phase=Phase.QUEUED, since=context.ledger.clock(), attempts=one.attempts + 1, error=None)

    async def retry() -> bool:
        await context.service.retry_render(job_id)
        return True

    async def look() -> bool | None:
        """A retry that has arrived shows: the job is no longer FAILED."""
        job = await render_job(context.service, job_id)
        return None if job is None or job.status == "FAILED" else True

    await context.ledger.call(RETRY, [context.subject(address)], retry, lambda _: [PutObject(queued)], look=look)
    context.emit(StepTaken(address, RETRY.name, job_id))


async def _wait(address: str, context: Context) -> None:
    job_id = context.ledger.remote_id(address)
    while True:
        context.emit(Waiting(address, Phase.QUEUED))
        if not context.wait:
            raise NotWaitedFor("the service renders it")
        job = await context.stop.race(
            context.render_waits.settled(job_id, lambda status: context.emit(Waiting(address, status)))
        )
        one = context.ledger.object(context.ledger.bound_to(address))
        now = context.ledger.clock()
        if job is None:
            await context.ledger.write(PutObject(replace(one, phase=Phase.LOST, since=now)))
            raise Failure(f"the service no longer knows its render job {job_id}; the next apply starts it again")
        if job.status == "COMPLETED":
            done = replace(one, phase=Phase.COMPLETED, since=now, error=None)
            await context.ledger.write(PutObject(done, files=finished_files(job) or ()))
            return
        await context.ledger.write(PutObject(replace(one, phase=Phase.FAILED, since=now, error=job.error_message)))
        if one.attempts >= context.policy.retries:
            tried = f" after {one.attempts} {'retry' if one.attempts == 1 else 'retries'}" if one.attempts else ""
            raise Failure(f"the render failed{tried}: {job.error_message or 'the service gave no reason'}")
        await _retry(address, context)


def _started(change: Change, started: StartedRender, context: Context) -> list[Write]:
    want = context.desired[change.address]
    one = Object(
        oid=context.ledger.new_id(),
        kind=Kind.RENDER,
        digest=want.digest,
        phase=Phase.QUEUED,
        remote_id=started.job_id,
        parents=(context.ledger.bound_to(want.parents[0]),),
        since=context.ledger.clock(),
    )
    return [PutObject(one, inputs=inputs_of(want)), Bind(change.address, one.oid)]
