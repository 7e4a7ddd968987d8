"""What must never be, each rule a function that raises ``Broken`` with a sentence for a person.

The truth is the service's own records; ``Starts`` remembers what a render job cannot tell: the digest it was started
for, and how often the user has allowed to ask again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glossi_sync.planning import Plan
from glossi_sync.resources import LIFECYCLES, Kind, Model, Phase, Project, Render, RenderSettings, kind_of
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.service.calls import Call
from glossi_sync.spec import Desired
from glossi_sync.state import Intent, Object, Realised, Stray, check

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.service import Service, Truth

    from glossi_sync.applying import Applied
    from glossi_sync.state import State


class Broken(Exception):
    """A rule of safety is broken."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way: the call, the path, the decoded body; of POST /renders what each project is rendered for."""

    call: Call
    path: str
    body: Any
    renders: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def entries(self) -> int:
        """How many things it asks for."""
        lists = [value for value in (self.body or {}).values() if isinstance(value, list)]
        return max((len(one) for one in lists), default=1)

    def __str__(self) -> str:
        return f"{self.call.method} {self.path} {'' if self.body is None else self.body}"


@dataclass(slots=True)
class Starts:
    """Every render job that was ever started: its address and digest.

    ``denied`` counts, by digest, how often the user said that nothing was started (``resolve --again``), ``risked`` how
    often that it may be started twice (``--in-doubt again``).

    ``foreign_webhook``: the webhook is not the reconciler's any more, since somebody else has changed it; or it cannot
    know, since the request was on its way for so long that another process has looked for the webhook in vain.
    """

    of: dict[str, tuple[str, str]] = field(default_factory=dict)
    denied: Counter[str] = field(default_factory=Counter)
    risked: Counter[str] = field(default_factory=Counter)
    foreign_webhook: bool = False
    broken: Broken | None = None

    def add(self, job_id: str, address: str, digest: str) -> None:
        self.of[job_id] = (address, digest)

    def jobs(self, digest: str) -> list[str]:
        """The jobs that were started for a digest, in order."""
        return [job_id for job_id, (_, one) in self.of.items() if one == digest]


# --- while a process runs ------------------------------------------------------------------------------------------------


def one_holder(holders: Sequence[Process]) -> None:
    """Two runs never both hold the lock."""
    if len(holders) > 1:
        raise Broken(f"{' and '.join(one.name for one in holders)} hold the lock at the same time")


def journal_discipline(sent: Sent, process: Process) -> None:
    """A mutating request leaves only after a committed row of the journal says what is asked, and for whom.

    A process that has lost its lock asks for nothing that was not on its way by then.
    """
    realised = process.state.realised()
    rows = [row for row in realised.in_doubt if row.call == sent.call.name and row.run_id == process.run_id]
    if process.lost is not None:
        rows = [row for row in rows if row.call_id in process.lost]
    if not any(_announces(row, sent, realised, process.desired) for row in rows):
        raise Broken(f"{process.name} sends {sent} and the journal does not say so (it has {rows})")


def _announces(row: Intent, sent: Sent, realised: Realised, desired: Mapping[str, Desired]) -> bool:
    addresses = [subject.address for subject in row.subjects]

    def remote(address: str) -> str | None:
        bound = realised.bound(address)
        return None if bound is None else bound.remote_id

    match row.step:
        case "record":
            return len(addresses) == len(sent.body["models"])
        case "upload":
            return [remote(one) for one in addresses] == [sent.path.split("/")[-2]]
        case "confirm" | "retry":
            return [remote(one) for one in addresses] == [sent.path.split("/")[-2]]
        case "create" if sent.body.get("createPerModel"):
            return {remote(desired[one].parents[0]) for one in addresses} == set(sent.body["modelIds"])
        case "create":
            return [remote(parent) for parent in desired[addresses[0]].parents] == sent.body["modelIds"]
        case "start":
            projects = {remote(desired[subject.address].parents[0]) or "": subject for subject in row.subjects}
            asked = settings_of(sent.body["settings"])
            wants = [desired[subject.address] for subject in row.subjects]
            if set(projects) != set(sent.body["projectIds"]) or any(
                want.digest != subject.digest or getattr(want.inputs, "settings", None) != asked
                for want, subject in zip(wants, row.subjects, strict=True)
            ):
                return False
            sent.renders.update({one: (subject.address, subject.digest) for one, subject in projects.items()})
            return True
        case "put" | "delete":
            return addresses == ["webhook"]
    return False


def no_render_twice(
    address: str, digest: str, specs: Sequence[Mapping[str, Desired]], starts: Starts, truth: Truth
) -> None:
    """No more live jobs of a digest than addresses that want it, but for those that the user allowed.

    ``specs``: as it was when the request was sent, and as it has been since.
    """
    live = [job_id for job_id in starts.jobs(digest) if _stands(job_id, truth)]
    wanted = max(sum(want.digest == digest for want in desired.values()) for desired in specs)
    allowed = starts.denied[digest] + starts.risked[digest]
    if len(live) > wanted + allowed:
        raise Broken(
            f"{address} is rendered once too often: jobs {', '.join(live)} are all of digest {digest[:8]}, "
            f"which {wanted} addresses want, and the user has allowed {allowed} more"
        )


def _stands(job_id: str, truth: Truth) -> bool:
    """Whether a job exists and need not be started anew: a failed one must, where what it was made from is gone."""
    job = truth.jobs.get(job_id)
    if job is None:
        return False
    project = truth.projects.get(job.project_id)
    whole = project is not None and all(one in truth.models for one in project.model_ids)
    return job.status != "FAILED" or whole


# --- when a process has ended, however -----------------------------------------------------------------------------------


def sound_state(state: State) -> None:
    """The state opens, its file is whole, its rows do not contradict each other, and no object has two addresses."""
    problems = check(state)
    if problems:
        raise Broken(f"the state contradicts itself: {problems}")
    bindings = state.realised().bindings
    if len(set(bindings.values())) != len(bindings):
        raise Broken(f"two addresses are bound to one object: {bindings}")


def truly_remembered(realised: Realised, service: Service, truth: Truth) -> None:
    """Every object exists at the service with the content that its digest names, and is no further than it says."""
    for one in realised.objects.values():
        if one.phase is Phase.LOST or one.remote_id is None or one.remote_id in service.lost:
            continue
        problem = next(_problems_of(one, realised, service, truth), None)
        if problem is not None:
            raise Broken(f"the state says {_name(one, realised)}: {problem}")


def _problems_of(one: Object, realised: Realised, service: Service, truth: Truth) -> Iterator[str]:
    remote_id = one.remote_id or ""
    parents = [realised.objects[oid] for oid in one.parents]
    match one.kind:
        case Kind.MODEL:
            model = truth.models.get(remote_id)
            if model is None:
                yield "the service never had such a model"
                return
            content = service.stored(model)
            if content is not None:
                inputs = Model(model.file_type, _sha256(content), "", len(content))
                if one.digest not in (inputs.digest(), inputs.digest(model.name)):
                    yield f"the service has other bytes there ({content!r})"
            elif one.phase is not Phase.RECORDED:
                yield "no file was uploaded"
            if one.phase in (Phase.CONFIRMED, Phase.READY, Phase.FAILED) and not model.confirmed:
                yield "the upload was never confirmed"
            if one.phase is Phase.READY and model.status != "READY":
                yield f"the service says {model.status}"
        case Kind.PROJECT:
            project = truth.projects.get(remote_id)
            if project is None:
                yield "the service never had such a project"
                return
            if tuple(parent.remote_id for parent in parents) != project.model_ids:
                yield f"it is of the models {project.model_ids}"
            made = Project(project.template_id, "", tuple(parent.digest for parent in parents))
            if one.digest not in (made.digest(), made.digest(project.name)):
                yield "it is of another template or of other models"
        case Kind.RENDER:
            job = truth.jobs.get(remote_id)
            if job is None:
                yield "the service never had such a job"
                return
            if job.project_id != parents[0].remote_id:
                yield f"it is of project {job.project_id}"
            settings = settings_of(job.settings)
            if all(one.digest != Render(parents[0].digest, settings, revision).digest() for revision in range(1, 5)):
                yield f"it has other settings ({settings})"
            if one.phase is Phase.COMPLETED and job.status != "COMPLETED":
                yield f"the service says {job.status}"


def nothing_unknown(realised: Realised, strays: Sequence[Stray], starts: Starts, truth: Truth) -> None:
    """The service holds nothing that the state does not know: as an object, a stray, or a call in doubt."""
    known = {one.remote_id for one in realised.objects.values()} | {stray.remote_id for stray in strays}
    for kind, held in (
        (Kind.MODEL, truth.models),
        (Kind.PROJECT, truth.projects),
        (Kind.RENDER, truth.jobs),
    ):
        unknown = [remote_id for remote_id in held if remote_id not in known]
        covered = sum(
            len(intent.subjects)
            for intent in realised.in_doubt
            if intent.step in ("record", "create", "start") and kind_of(intent.subjects[0].address) is kind
        )
        covered += sum(_told_of(stray) for stray in strays if stray.kind is kind and stray.remote_id is None)
        if kind is Kind.RENDER:
            covered += sum(starts.denied.values())
        if len(unknown) > covered:
            raise Broken(
                f"the service holds {kind}s that the state knows nothing of: {', '.join(unknown)} "
                f"(calls in doubt and strays without an id speak of {covered})"
            )
    bound = any(one.kind is Kind.WEBHOOK for one in realised.objects.values())
    doubted = any(intent.step == "put" for intent in realised.in_doubt)
    if truth.webhook is not None and not (bound or doubted or starts.foreign_webhook):
        raise Broken("the service has a webhook that the state knows nothing of")


def _told_of(stray: Stray) -> int:
    """Of how many things a stray without an id speaks: it names the addresses that the call in doubt was for."""
    return stray.reason.partition(" was in doubt")[0].count(", ") + 1


def nothing_forgotten(before: Realised, after: Realised) -> None:
    """What was realised once is remembered for good: no object goes, and none but the webhook becomes another one."""
    for oid, one in before.objects.items():
        now = after.objects.get(oid)
        if now is None:
            raise Broken(f"the state has forgotten {_name(one, before)}")
        if one.kind is not Kind.WEBHOOK and (now.kind, now.digest) != (one.kind, one.digest):
            raise Broken(f"{_name(one, before)} has become {_name(now, after)}")


# --- after a process that nothing disturbed ------------------------------------------------------------------------------


def plan_was_kept(plan: Plan, applied: Applied, sent: Mapping[str, int]) -> None:
    """Where nothing went wrong, an apply took exactly the planned steps, in no more calls than planned."""
    if dict(applied.steps) != dict(plan.steps):
        raise Broken(f"the plan was {dict(plan.steps)}, the steps taken are {dict(applied.steps)}")
    if dict(applied.calls) != dict(sent):
        raise Broken(f"the apply counts {dict(applied.calls)}, the network {dict(sent)}")
    for call, count in applied.calls.items():
        if count > plan.calls.get(call, 0):
            raise Broken(f"{call}: {count} calls, and the plan was at most {plan.calls.get(call, 0)}")


def nothing_left_open(realised: Realised, run_id: int) -> None:
    """Where every call was answered, each has its outcome in the journal."""
    left = [intent for intent in realised.in_doubt if intent.run_id == run_id]
    if left:
        raise Broken(f"the calls of an undisturbed run have no outcome: {left}")


# --- when everything has converged ---------------------------------------------------------------------------------------


def everything_bound(desired: Mapping[str, Desired], realised: Realised, starts: Starts, truth: Truth) -> None:
    """Every address of the spec, and no other one, is bound to a complete object of its own with its digest."""
    if set(realised.bindings) != set(desired):
        raise Broken(f"bound are {sorted(realised.bindings)}, wanted {sorted(desired)}")
    for address, want in desired.items():
        bound = realised.bound(address)
        if bound is None or bound.digest != want.digest:
            raise Broken(f"{address} is bound to an object of another digest than the spec's")
        if bound.phase is not LIFECYCLES[want.kind].complete:
            raise Broken(f"{address} is only {bound.phase}")
        if want.kind is Kind.PROJECT:
            for parent, oid in zip(want.parents, bound.parents, strict=True):
                if realised.objects[oid].phase is Phase.LOST:
                    raise Broken(f"{address} is made of a model that is lost, {parent} being another one")
    hook = desired.get("webhook")
    if hook is None and truth.webhook is not None and not starts.foreign_webhook:
        raise Broken("the webhook has left the spec, and is still there")
    if hook is not None:
        there = truth.webhook
        said = None if there is None else (there.url, tuple(sorted(there.events)), there.enabled)
        inputs: Any = hook.inputs
        if said != (inputs.url, tuple(sorted(inputs.events)), inputs.enabled):
            raise Broken(f"the webhook at the service is {said}")


def plan_is_empty(plan: Plan) -> None:
    """After convergence there is nothing to do. (Of remembered objects that nobody uses there may be news.)"""
    if not plan.is_empty or plan.abandoned:
        acting = [f"{change.address}: {change.action} ({change.reason})" for change in plan.acting()]
        raise Broken(f"after convergence the plan is not empty: {acting or plan.abandoned}")


def apply_is_quiet(applied: Applied, sent: Mapping[str, int]) -> None:
    """An apply after convergence asks for nothing."""
    if sent or not applied.is_quiet:
        raise Broken(f"an apply after convergence sent {dict(sent)} and says {applied}")


def settings_of(spelled: Mapping[str, Any]) -> RenderSettings:
    """Settings as the wire spells them."""
    return RenderSettings(**{name: spelled[wire] for name, wire in SETTING_NAMES.items()})


def _name(one: Object, realised: Realised) -> str:
    addresses = [address for address, oid in realised.bindings.items() if oid == one.oid]
    return f"{one.kind} {one.remote_id} is {one.phase}, digest {one.digest[:8]} ({', '.join(addresses) or 'not bound'})"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
