"""Import: which ids of the service can be bound to which addresses. Nothing is asked for but a look.

Two halves, as in ``observe``: ``look`` asks the service (reads only), ``decide_import`` decides (pure). That an object
was made from what the spec says now, the service cannot tell: the user vouches for it. What can be told is
checked: that the service knows the model or the render, and that a render is of the project that is bound
beside it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from glossi_sync.planning.observe import STATUS_BATCH, finished_files, model_phase, render_job, render_phase
from glossi_sync.resources import Kind, Phase, is_address, kind_of
from glossi_sync.resources.render import START
from glossi_sync.service import Glossi, ModelStatus, RenderJob
from glossi_sync.spec import Desired
from glossi_sync.spec.ids import Complaint, GivenId
from glossi_sync.spec.problems import near
from glossi_sync.state import Object, Realised, RenderedFile


@dataclass(frozen=True, slots=True)
class Known:
    """What the service knows of the given ids; an id that is missing here it does not know."""

    models: Mapping[str, ModelStatus] = field(default_factory=dict)
    renders: Mapping[str, RenderJob] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Import:
    """One address and what it is to be bound to: the remembered object ``oid``, or else a new one.

    ``label`` is what the service calls it, where it tells.
    """

    want: Desired
    remote_id: str
    phase: Phase
    label: str | None = None
    error: str | None = None
    files: tuple[RenderedFile, ...] | None = None
    oid: int | None = None


@dataclass(frozen=True, slots=True)
class Imports:
    """What can be imported, parents before what is made of them; ``unchanged`` addresses are bound so already.

    Where there is a complaint, nothing is to be imported.
    """

    imports: tuple[Import, ...] = ()
    unchanged: int = 0
    complaints: tuple[Complaint, ...] = ()


async def look(service: Glossi, given: Iterable[GivenId]) -> Known:
    """Ask the service about the given models (500 in a call) and renders; about projects it cannot be asked.

    Raises:
        ServiceError: the service could not be asked.
    """
    ids = {kind: list(dict.fromkeys(_ids(given, kind))) for kind in (Kind.MODEL, Kind.RENDER)}
    models = ids[Kind.MODEL]
    async with asyncio.TaskGroup() as group:
        parts = [models[start : start + STATUS_BATCH] for start in range(0, len(models), STATUS_BATCH)]
        answers = [group.create_task(service.model_statuses(part)) for part in parts]
        jobs = {one: group.create_task(render_job(service, one)) for one in ids[Kind.RENDER]}
    return Known(
        {status.model_id: status for answer in answers for status in answer.result().models},
        {one: job for one, task in jobs.items() if (job := task.result()) is not None},
    )


def decide_import(
    given: Sequence[GivenId], desired: Mapping[str, Desired], realised: Realised, known: Known, *, replace: bool
) -> Imports:
    """What is to be bound to what, or everything that speaks against it.

    With ``replace`` an address that is bound to something else is bound anew.
    """
    return _Import(given, desired, realised, known, replace=replace).decided()


class _Import:
    def __init__(
        self,
        given: Sequence[GivenId],
        desired: Mapping[str, Desired],
        realised: Realised,
        known: Known,
        *,
        replace: bool,
    ) -> None:
        self._given = given
        self._desired = desired
        self._realised = realised
        self._known = known
        self._replace = replace
        self._id_of = {one.address: one.remote_id for one in given}
        self._address_counts = Counter(one.address for one in given)
        self._id_counts = Counter((one.address.partition(".")[0], one.remote_id) for one in given)
        self._remembered = {(one.kind, one.remote_id): one for one in realised.objects.values()}
        self._bound_by = {oid: address for address, oid in realised.bindings.items()}
        self._unclear = {
            name
            for intent in realised.in_doubt
            if intent.step == START.name
            for subject in intent.subjects
            for name in (subject.address, subject.digest)
        }

    def decided(self) -> Imports:
        imports: dict[str, Import] = {}
        complaints: list[Complaint] = []
        unchanged = 0
        for one in self._given:
            found = list(self._complaints(one))
            complaints += found
            if found:
                continue
            want, own = self._desired[one.address], self._realised.bound(one.address)
            if own is not None and (own.remote_id, own.digest) == (one.remote_id, want.digest):
                unchanged += 1
            else:
                imports[one.address] = self._import(want, one.remote_id)
        if complaints:
            return Imports(complaints=tuple(complaints))
        return Imports(tuple(imports[address] for address in self._desired if address in imports), unchanged)

    def _import(self, want: Desired, remote_id: str) -> Import:
        remembered = self._remembered.get((want.kind, remote_id))
        oid = None if remembered is None else remembered.oid
        if want.kind is Kind.MODEL:
            status = self._known.models[remote_id]
            phase = model_phase(Phase.CONFIRMED, status)
            return Import(want, remote_id, phase, status.name or want.label, status.error_message, oid=oid)
        if want.kind is Kind.RENDER:
            job = self._known.renders[remote_id]
            return Import(want, remote_id, render_phase(job), None, job.error_message, finished_files(job), oid)
        return Import(want, remote_id, Phase.CREATED, want.label, oid=oid)

    def _complaints(self, one: GivenId) -> Iterator[Complaint]:
        """What speaks against a row; of its address, its id and its parents the first that something is wrong with."""
        if (message := next(self._about_address(one.address, one.remote_id), None)) is not None:
            yield one.number, "address", message
            return
        want = self._desired[one.address]
        if (message := next(self._about_id(one.remote_id, want), None)) is not None:
            yield one.number, "id", message
            return
        for message in self._about_parents(one, want):
            yield one.number, "address", message

    def _about_address(self, address: str, remote_id: str) -> Iterator[str]:
        if not is_address(address):
            yield f"{address!r} is no address; one is like model.lamp, project.lamp or render.lamp/web"
        elif kind_of(address) is Kind.WEBHOOK:
            yield "the webhook has no id to be imported by: an apply compares it field by field"
        elif address not in self._desired:
            yield f"the spec has no {address}{near(address, self._desired)}"
        elif self._address_counts[address] > 1:
            yield f"{address} is given {self._address_counts[address]} times"
        else:
            own, digest = self._realised.bound(address), self._desired[address].digest
            same = own is not None and (own.remote_id, own.digest) == (remote_id, digest)
            if own is not None and not (same or self._replace):
                yield f"{address} is bound to {own.remote_id} already; --replace binds it anew"
            if {address, digest} & self._unclear:
                settle = f"glossi-sync resolve {address} --adopt {remote_id}"
                yield f"whether {address} was started is in doubt; settle that instead: {settle}"

    def _about_id(self, remote_id: str, want: Desired) -> Iterator[str]:
        if not remote_id:
            yield f"the id of {want.address} is missing"
        if self._id_counts[want.kind.value, remote_id] > 1:
            yield f"the {want.kind} {remote_id} is given for several addresses"
        remembered = self._remembered.get((want.kind, remote_id))
        if remembered is not None:
            if remembered.digest != want.digest:
                yield f"the {want.kind} {remote_id} is known: it was made of something else than {want.address} is"
            other = self._bound_by.get(remembered.oid, want.address)
            if other != want.address:
                yield f"the {want.kind} {remote_id} is what {other} is bound to"
        if want.kind is Kind.MODEL and remote_id not in self._known.models:
            yield f"the service knows no model {remote_id}"
        if want.kind is Kind.RENDER:
            job, project = self._known.renders.get(remote_id), self._remote_id(want.parents[0])
            if job is None:
                yield f"the service knows no render job {remote_id}"
            elif project is not None and project != job.project_id:
                yield f"the render job {remote_id} is of project {job.project_id}; {want.parents[0]} is {project}"

    def _about_parents(self, one: GivenId, want: Desired) -> Iterator[str]:
        for parent in want.parents:
            if self._remote_id(parent) is None:
                job = self._known.renders.get(one.remote_id) if want.kind is Kind.RENDER else None
                hint = "" if job is None else f": {job.project_id}, as the service says"
                yield f"{one.address} is made of {parent}, which is bound to nothing like it; give its id too{hint}"

    def _remote_id(self, address: str) -> str | None:
        """What an address is at the service, by this file or by the state, where that has what the spec says."""
        if address in self._id_of:
            return self._id_of[address]
        bound: Object | None = self._realised.bound(address)
        if bound is None or bound.digest != self._desired[address].digest or bound.phase is Phase.LOST:
            return None
        return bound.remote_id


def _ids(given: Iterable[GivenId], kind: Kind) -> Iterator[str]:
    return (one.remote_id for one in given if one.remote_id and one.address.startswith(f"{kind}."))
