"""Settling: a render that may have been started, and is held, is found again by the webhook's event about it.

The service has no list of jobs and takes no key to recognise a call by. But an event names a job and its project, and
so answers what the lost answer would have said. It is taken for that answer only where nothing else can be its cause:

- the state knows no such job: it was started by no call whose answer was heard;
- the event came after the call in doubt was written down, and is signed by the service;
- its project is the one that the held render is of, which this state has made and nobody else is told of;
- no other call in doubt may have started a render of that project with other settings, and no render that is remembered
  as a stray (a call that was asked again, or that a person said was not done) may be under way: else it could be
  theirs, and its pictures other ones;
- one job alone fits: of two, neither is chosen.

Whatever does not pass stays held, and ``resolve`` settles it. What remains is a person who starts a render of this very
project by hand, in the service's own pages, while a call is in doubt. Pure: decides, reads nothing, writes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from glossi_sync.planning.change import Change, Trouble
from glossi_sync.planning.explain import inputs_of
from glossi_sync.resources import Kind, Phase
from glossi_sync.resources.render import START
from glossi_sync.spec import Desired
from glossi_sync.state import (
    Bind,
    Intend,
    Intent,
    Object,
    PutObject,
    Realised,
    Received,
    Settle,
    Stray,
    Subject,
    Write,
)
from glossi_sync.webhooks import Malformed, RenderFinished, parse

Doubt = tuple[Intent, Subject]

STRAYS_ARE_OVER = 7 * 86400.0
"""Seconds after which no render is under way any more that a call in doubt may have left behind."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What events say of a render job: since when it is known of (Unix seconds), and what came last."""

    job_id: str
    since: float
    last: RenderFinished

    @property
    def phase(self) -> Phase:
        """Failed, or not known to be: that it is complete is of no use without its files, which the service tells."""
        return Phase.QUEUED if self.last.completed else Phase.FAILED


@dataclass(frozen=True, slots=True)
class Settlement:
    """Held renders that were found: their jobs by address, the state as it is from now on, and what makes it so."""

    jobs: Mapping[str, str]
    realised: Realised
    writes: tuple[Write, ...]

    def noted(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """The changes, with a word about those whose doubt is settled."""
        return tuple(
            replace(change, note=f"its start was in doubt; a webhook event says that it is job {job_id}")
            if (job_id := self.jobs.get(change.address)) is not None
            else change
            for change in changes
        )


def has_starts_in_doubt(realised: Realised) -> bool:
    """Whether there is anything to settle at all."""
    return any(intent.step == START.name for intent in realised.in_doubt)


def settle_held(
    changes: Iterable[Change],
    desired: Mapping[str, Desired],
    realised: Realised,
    ours: Collection[Intent],
    events: Sequence[Received],
    strays: Iterable[Stray],
    now: float,
) -> Settlement | None:
    """Find the jobs of held renders; ``ours`` are the calls in doubt that this run may settle, ``now`` Unix seconds."""
    if any(one.kind is Kind.RENDER and one.remote_id is None and now - one.at < STRAYS_ARE_OVER for one in strays):
        return None
    jobs = _unknown_jobs(events, realised)
    of_project = {one.digest: desired[one.parents[0]].digest for one in desired.values() if one.kind is Kind.RENDER}
    found: list[tuple[Desired, Doubt, _Job, int]] = []
    for change in changes:
        if change.trouble is Trouble.HELD and change.doubts and change.doubts[0][0] in ours:
            want = desired[change.address]
            fitting = _fitting(desired[want.parents[0]], change.doubts[0][0], jobs, realised)
            if len(fitting) == 1 and not _ambiguous(want, desired, of_project, realised):
                found.append((want, change.doubts[0], *fitting[0]))
    claims = Counter(job.job_id for _, _, job, _ in found)
    found = [one for one in found if claims[one[2].job_id] == 1]
    return _settlement(found, realised, now) if found else None


def close_doubts(
    doubts: Sequence[Doubt], outcome: str, now: float, new_id: Callable[[Intent], int]
) -> tuple[list[Settle], list[Intent]]:
    """Settle calls in doubt for these subjects; what else they were for stays in doubt, as calls with new ids."""
    subjects: dict[Intent, list[Subject]] = {}
    for intent, subject in doubts:
        subjects.setdefault(intent, []).append(subject)
    settled = [Settle(intent.call_id, outcome, now) for intent in subjects]
    rest = [
        replace(intent, call_id=new_id(intent), subjects=others)
        for intent, closed in subjects.items()
        if (others := tuple(one for one in intent.subjects if one not in closed))
    ]
    return settled, rest


def _fitting(
    project: Desired, intent: Intent, jobs: Mapping[str, Mapping[str, _Job]], realised: Realised
) -> list[tuple[_Job, int]]:
    """The jobs that may be the render, each with its project's object: of the project that is bound, or else of one
    that has the same content and that is bound nowhere (it may have been made again since).
    """
    others = {oid for address, oid in realised.bindings.items() if address != project.address}
    alike = [
        one
        for one in realised.objects.values()
        if one.kind is Kind.PROJECT and one.digest == project.digest and one.oid not in others
    ]
    bound = realised.bound(project.address)
    for projects in ([one for one in alike if one is bound], alike):
        found = [
            (job, one.oid)
            for one in projects
            for job in jobs.get(one.remote_id or "", {}).values()
            if job.since >= intent.at
        ]
        if found:
            return found
    return []


def _settlement(found: Sequence[tuple[Desired, Doubt, _Job, int]], realised: Realised, now: float) -> Settlement:
    settled, rest = close_doubts(
        [doubt for _, doubt, _, _ in found],
        f"settled by webhook events ({', '.join(f'{want.address}: job {job.job_id}' for want, _, job, _ in found)})",
        now,
        lambda intent: _id(f"{intent.call_id} without {[job.job_id for _, _, job, _ in found]}"),
    )
    objects, bindings = dict(realised.objects), dict(realised.bindings)
    writes: list[Write] = [*settled, *map(Intend, rest)]
    for want, _, job, project in found:
        one = Object(
            oid=_id(f"render job {job.job_id}"),
            kind=Kind.RENDER,
            digest=want.digest,
            phase=job.phase,
            remote_id=job.job_id,
            parents=(project,),
            since=now,
            error=job.last.error_message if job.phase is Phase.FAILED else None,
        )
        objects[one.oid] = one
        bindings[want.address] = one.oid
        writes += PutObject(one, inputs=inputs_of(want)), Bind(want.address, one.oid)
    closed = {one.call_id for one in settled}
    in_doubt = (*(one for one in realised.in_doubt if one.call_id not in closed), *rest)
    names = {want.address: job.job_id for want, _, job, _ in found}
    return Settlement(names, Realised(objects, bindings, in_doubt), tuple(writes))


def _unknown_jobs(events: Sequence[Received], realised: Realised) -> dict[str, dict[str, _Job]]:
    """The render jobs that no heard answer has named: project id -> job id -> what is known of it."""
    known = {one.remote_id for one in realised.objects.values() if one.kind is Kind.RENDER}
    jobs: dict[str, dict[str, _Job]] = {}
    for event in events:
        try:
            subject = parse(event.body).subject
        except Malformed:
            continue
        if isinstance(subject, RenderFinished) and subject.project_id and subject.job_id not in known:
            of_project = jobs.setdefault(subject.project_id, {})
            former = of_project.get(subject.job_id)
            of_project[subject.job_id] = _Job(subject.job_id, former.since if former else event.at, subject)
    return jobs


def _ambiguous(
    want: Desired, desired: Mapping[str, Desired], of_project: Mapping[str, str], realised: Realised
) -> bool:
    """Whether another call in doubt may have started a different render of the same project.

    ``of_project`` tells the digest of a render's project by its own.
    """
    parent = want.parents[0]
    for intent in realised.in_doubt:
        for subject in intent.subjects if intent.step == START.name else ():
            if subject.digest == want.digest:
                continue
            if subject.digest in of_project:
                if of_project[subject.digest] == desired[parent].digest:
                    return True
                continue
            # What the spec wanted then is not known any more, only where: at a project that is another one's still?
            where = "project." + subject.address.removeprefix("render.").rpartition("/")[0]
            if where == parent or where not in desired:
                return True
    return False


def _id(of: str) -> int:
    """63 bits as good as random, and the same each time: deciding needs no dice."""
    return int.from_bytes(hashlib.sha256(of.encode()).digest()[:8]) >> 1
