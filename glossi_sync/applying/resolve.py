"""Settling a doubt by hand: was a render started by a call whose answer nobody heard? (Where a webhook's events are
received, planning's ``settling`` mostly finds out by itself.)

Such a render is held, because asking twice may cost twice, and the service can neither be asked which jobs a project
has nor told a key to recognise a call by. The user can look, and say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from glossi_sync.applying.ledger import new_id
from glossi_sync.errors import UserError
from glossi_sync.planning import Survey
from glossi_sync.planning.explain import inputs_of
from glossi_sync.planning.observe import finished_files, render_job, render_phase
from glossi_sync.planning.settling import close_doubts
from glossi_sync.resources import Kind
from glossi_sync.resources.render import START
from glossi_sync.service import Glossi
from glossi_sync.state import AddStray, Bind, Intend, Intent, Object, PutObject, Stray, Subject, Write


class NotInDoubt(UserError):
    """There is no doubt to settle, or the answer does not fit it; the message says what is wrong."""


def again(address: str, surveyed: Survey, *, clock: Callable[[], float], rng: Random) -> list[Write]:
    """Nothing was started: the next apply may ask again.

    A stray is noted all the same: what the user did not find may have been started and lost, and an event of it that
    comes late must not be taken for that of another render (planning's ``settling``).

    Raises:
        NotInDoubt: no call for the address is in doubt.
    """
    doubts = _doubts(address, surveyed)
    outcome = f"resolved by hand: nothing was started ({address})"
    denied = AddStray(Stray(Kind.RENDER, None, f"{START.call} for {address} was in doubt, and {outcome}", clock()))
    return [*surveyed.plan.settled, *_settle(doubts, outcome, clock, rng), denied]


async def adopt(
    address: str, job_id: str, surveyed: Survey, service: Glossi, *, clock: Callable[[], float], rng: Random
) -> list[Write]:
    """The call did start a job: bind the address to it, after a look at the service.

    The job may be of any project that has what the render's project is made of: the render may have been renamed, or
    its project made again, since the call.

    Raises:
        NotInDoubt: no call for the address is in doubt, or the job is unknown, another project's, or in use.
        ServiceError: the service could not be asked.
    """
    doubts = _doubts(address, surveyed)
    want = surveyed.desired.get(address)
    if want is None:
        raise NotInDoubt(f"{address} is not in the spec any more, so no job can be bound to it; use --again")
    job = await render_job(service, job_id)
    if job is None:
        raise NotInDoubt(f"the service knows no render job {job_id}")
    objects = surveyed.realised.objects.values()
    if any(one.kind is Kind.RENDER and one.remote_id == job_id for one in objects):
        raise NotInDoubt(f"render job {job_id} is known: it was not started by the call in doubt")
    parent = want.parents[0]
    digest = surveyed.desired[parent].digest
    of = next((one for one in objects if one.remote_id == job.project_id and one.digest == digest), None)
    if of is None:
        raise NotInDoubt(f"render job {job_id} is of project {job.project_id}, not of {parent}")
    one = Object(
        oid=new_id(rng),
        kind=Kind.RENDER,
        digest=want.digest,
        phase=render_phase(job),
        remote_id=job_id,
        parents=(of.oid,),
        since=clock(),
        error=job.error_message,
    )
    # One job answers one call: other calls that may have started the same render elsewhere stay in doubt.
    writes = _settle(doubts[:1], f"resolved by hand: it was job {job_id} ({address})", clock, rng)
    bound: list[Write] = [PutObject(one, inputs=inputs_of(want), files=finished_files(job)), Bind(address, one.oid)]
    return [*surveyed.plan.settled, *writes, *bound]


def _doubts(address: str, surveyed: Survey) -> Sequence[tuple[Intent, Subject]]:
    """The calls in doubt that hold an address, each with the subject that it is about.

    An address may be in doubt for more than one digest, where the spec was edited after the first doubt: asked about is
    the one that the spec wants now.
    """
    found = [doubt for change in surveyed.plan.changes if change.address == address for doubt in change.doubts]
    if address not in surveyed.desired:
        for intent in surveyed.realised.in_doubt:
            if intent.step == START.name:
                found += [(intent, subject) for subject in intent.subjects if subject.address == address]
    if not found:
        told = [change.note for change in surveyed.plan.changes if change.address == address and surveyed.plan.settled]
        if told and told[0] is not None:
            raise NotInDoubt(f"{address} is not in doubt any more: {told[0]}; the next apply goes on with it")
        raise NotInDoubt(f"no call for {address} is in doubt; `glossi-sync plan` shows what is held")
    return found


def _settle(
    doubts: Sequence[tuple[Intent, Subject]], outcome: str, clock: Callable[[], float], rng: Random
) -> list[Write]:
    """Settle calls in doubt for these subjects; what else they were for stays in doubt."""
    settled, rest = close_doubts(doubts, outcome, clock(), lambda _: new_id(rng))
    return [*settled, *map(Intend, rest)]
