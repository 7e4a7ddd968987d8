"""Settling a doubt by hand: was a render started by a call whose answer nobody heard?

Such a render is held, because asking twice may cost twice, and the service can neither be asked which jobs a project
has nor told a key to recognise a call by. The user can look, and say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from glossi_sync.applying.ledger import new_id
from glossi_sync.errors import UserError
from glossi_sync.planning.explain import inputs_of
from glossi_sync.planning.observe import finished_files, render_job, render_phase
from glossi_sync.resources import Kind
from glossi_sync.resources.render import START
from glossi_sync.service import Glossi
from glossi_sync.spec import Desired
from glossi_sync.state import Bind, Intend, Intent, Object, PutObject, Realised, Settle, Subject, Write


class NotInDoubt(UserError):
    """There is no doubt to settle, or the answer does not fit it; the message says what is wrong."""


def again(address: str, realised: Realised, *, clock: Callable[[], float], rng: Random) -> list[Write]:
    """Nothing was started: the next apply may ask again.

    Raises:
        NotInDoubt: no call for the address is in doubt.
    """
    return _settle(address, realised, "resolved by hand: nothing was started", clock, rng)


async def adopt(
    address: str,
    job_id: str,
    desired: Mapping[str, Desired],
    realised: Realised,
    service: Glossi,
    *,
    clock: Callable[[], float],
    rng: Random,
) -> list[Write]:
    """The call did start a job: bind the address to it, after a look at the service.

    Raises:
        NotInDoubt: no call for the address is in doubt, or the job is unknown or another project's.
        ServiceError: the service could not be asked.
    """
    writes = _settle(address, realised, f"resolved by hand: it was job {job_id}", clock, rng)
    want = desired.get(address)
    if want is None:
        raise NotInDoubt(f"{address} is not in the spec any more, so no job can be bound to it; use --again")
    project = realised.bound(want.parents[0])
    job = await render_job(service, job_id)
    if job is None:
        raise NotInDoubt(f"the service knows no render job {job_id}")
    if project is None or job.project_id != project.remote_id:
        raise NotInDoubt(f"render job {job_id} is of project {job.project_id}, not of {want.parents[0]}")
    one = Object(
        oid=new_id(rng),
        kind=Kind.RENDER,
        digest=want.digest,
        phase=render_phase(job),
        remote_id=job_id,
        parents=(project.oid,),
        since=clock(),
        error=job.error_message,
    )
    return [*writes, PutObject(one, inputs=inputs_of(want), files=finished_files(job)), Bind(address, one.oid)]


def _settle(address: str, realised: Realised, outcome: str, clock: Callable[[], float], rng: Random) -> list[Write]:
    """Settle the calls in doubt for an address; what else they were for stays in doubt."""
    doubts = [
        intent
        for intent in realised.in_doubt
        if intent.step == START.name and any(subject.address == address for subject in intent.subjects)
    ]
    if not doubts:
        raise NotInDoubt(f"no call for {address} is in doubt; `glossi-sync plan` shows what is held")
    writes: list[Write] = []
    for intent in doubts:
        writes.append(Settle(intent.call_id, f"{outcome} ({address})", clock()))
        others: tuple[Subject, ...] = tuple(one for one in intent.subjects if one.address != address)
        if others:
            writes.append(Intend(Intent(new_id(rng), intent.run_id, intent.step, intent.call, others, intent.at)))
    return writes
