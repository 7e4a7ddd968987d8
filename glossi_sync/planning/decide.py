"""Decide: a plan is set arithmetic on digests (architecture, "The idea"). Pure, O(n), no heuristics.

Three passes. *Keep*: an address whose bound object has the wanted digest keeps it. *Adopt*: the others take a
remembered object with their digest that nobody keeps. *Make*: what is left is created, replaced or re-created.
Parents come before children in the spec's order, so each decision can look at what became of the parents.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property

from glossi_sync.planning.change import Action, Change, Difference, Plan, Trouble
from glossi_sync.planning.estimate import calls, upload_bytes
from glossi_sync.planning.guard import excess
from glossi_sync.planning.names import OtherNames, remark
from glossi_sync.planning.observe import Observed
from glossi_sync.resources import LIFECYCLES, Kind, Phase, Step, Webhook, kind_of
from glossi_sync.resources.address import WEBHOOK_ADDRESS
from glossi_sync.resources.model import UPLOAD
from glossi_sync.resources.render import START
from glossi_sync.resources.webhook import DELETE, PUT
from glossi_sync.spec import Desired, Guard
from glossi_sync.state import Intent, Object, Realised, Subject

UPLOAD_MARGIN = 300.0
"""Seconds that a signed URL must still be good for, to be worth starting an upload with."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user lets an apply do about trouble.

    ``retries`` are for each render; ``retry_failed`` tries anew what has failed for good; ``ask_again`` starts renders
    that an earlier apply may have started already, which otherwise are held; ``guard`` refuses plans that take away too
    much at once (None: nothing is too much).
    """

    retries: int = 2
    retry_failed: bool = False
    ask_again: bool = False
    guard: Guard | None = None


def plan(
    desired: Mapping[str, Desired],
    realised: Realised,
    observed: Observed,
    policy: Policy,
    *,
    now: float,
    workspace: str = "",
    spec: str = "",
    lineage: str = "",
    serial: int = 0,
    everything: bool = False,
    anew: Set[str] = frozenset(),
) -> Plan:
    """Decide what has to happen for every address of ``desired`` to be bound to a complete object.

    ``now`` is in Unix seconds (signed URLs expire); ``everything`` lists uneventful addresses too; ``anew`` are
    addresses that are to be made anew, whatever there is; the other names only identify the plan.
    """
    world = _World(realised, observed)
    kept = _keep(desired, world, anew)
    adopted = _adopt(desired, kept, world, anew)
    provided = kept.keys() | adopted.keys()
    other_names = OtherNames(desired)
    decided: dict[str, Change] = {}
    unchanged = 0
    for address, want in desired.items():
        if want.kind is Kind.WEBHOOK:
            change = _decide_webhook(want, world, anew)
        elif (own := kept.get(address)) is not None:
            change = _go_on(want, own, world, policy, now)
        elif (found := adopted.get(address)) is not None:
            change = _take_over(want, found, world, policy, now)
        else:
            doubts = () if policy.ask_again else _doubts(want, world, desired, provided)
            change = _make(want, world, decided, doubts, other_names, anew)
        if change is None:
            unchanged += 1
            if not everything:
                continue
            change = Change(address, want.kind, Action.NONE, _COMPLETE.reason, want.digest, oid=kept[address].oid)
        decided[address] = change
    taken = {one.oid for one in adopted.values()}
    gone = (
        _let_go(address, world)
        for address, oid in realised.bindings.items()
        if not (address in desired or oid in taken)
    )
    changes = (*decided.values(), *gone, *_unheard_webhook(desired, world))
    return Plan(
        workspace=workspace,
        spec=spec,
        lineage=lineage,
        serial=serial,
        changes=changes,
        unchanged=0 if everything else unchanged,
        seen=observed.seen,
        abandoned=tuple(one for one in realised.in_doubt if _is_asked_again(one, desired, world, policy)),
        calls=calls(changes, desired),
        upload_bytes=upload_bytes(changes, desired),
        excess=None if policy.guard is None else excess(changes, len(realised.bindings), policy.guard),
        remark=remark(changes),
    )


class _World:
    """The realised objects as they are now: what the state knows, corrected by what the service has just said."""

    def __init__(self, realised: Realised, observed: Observed) -> None:
        self.realised = realised
        self.observed = observed
        self._seen = {
            oid: replace(realised.objects[oid], phase=seen.phase, error=seen.error)
            for oid, seen in observed.seen.items()
            if oid in realised.objects
        }
        self._objects = {**realised.objects, **self._seen} if self._seen else realised.objects

    @cached_property
    def addresses(self) -> Mapping[int, str]:
        """The address that is bound to each object, if any."""
        return {oid: address for address, oid in self.realised.bindings.items()}

    @cached_property
    def starts_in_doubt(self) -> Mapping[str, list[tuple[Intent, Subject]]]:
        """The renders that may have been started without anybody hearing of it, by digest."""
        found: dict[str, list[tuple[Intent, Subject]]] = {}
        for intent in self.realised.in_doubt:
            for subject in intent.subjects if intent.step == START.name else ():
                found.setdefault(subject.digest, []).append((intent, subject))
        return found

    def objects(self) -> Iterable[Object]:
        return self._objects.values()

    def bound(self, address: str) -> Object | None:
        oid = self.realised.bindings.get(address)
        return None if oid is None else self._objects.get(oid)

    def has_news_of(self, one: Object) -> bool:
        return one.oid in self._seen

    def lost_parent(self, one: Object) -> bool:
        for oid in one.parents:
            parent = self._objects.get(oid)
            if parent is None or not self.usable(parent):
                return True
        return False

    def usable(self, one: Object) -> bool:
        """Whether an object can still serve. A completed render always can: its pictures exist, whatever became of
        what it was made from; and one that the service is rendering will complete.
        """
        if one.phase is Phase.LOST:
            return False
        if one.kind is Kind.PROJECT or (one.kind is Kind.RENDER and one.phase is Phase.FAILED):
            return not self.lost_parent(one)
        return True


def _keep(desired: Mapping[str, Desired], world: _World, anew: Set[str]) -> dict[str, Object]:
    kept: dict[str, Object] = {}
    taken: set[int] = set()
    for address, want in desired.items():
        bound = world.bound(address)
        if bound is None or bound.digest != want.digest or bound.oid in taken or address in anew:
            continue  # Taken: one shard has moved the object, and the other has not yet replaced it.
        if world.usable(bound):
            kept[address] = bound
            taken.add(bound.oid)
    return kept


def _adopt(
    desired: Mapping[str, Desired], kept: Mapping[str, Object], world: _World, anew: Set[str]
) -> dict[str, Object]:
    """Give addresses that keep nothing a remembered object with their digest: complete before unfinished before
    failed, then the one with the same label, then the newest. What is to be made anew is nobody's to take.
    """
    missing = [
        want
        for address, want in desired.items()
        if not (address in kept or address in anew or want.kind is Kind.WEBHOOK)
    ]
    if not missing:
        return {}
    wanted = {want.digest for want in missing}
    held = {one.oid for one in kept.values()} | {bound.oid for address in anew if (bound := world.bound(address))}
    free: dict[str, list[Object]] = {}
    for one in world.objects():
        if one.digest in wanted and one.oid not in held and world.usable(one):
            free.setdefault(one.digest, []).append(one)
    adopted: dict[str, Object] = {}
    for want in missing:
        candidates = free.get(want.digest)
        if candidates:
            best = min(candidates, key=lambda one: (_unfinished(one), one.label != want.label, -one.since))
            candidates.remove(best)
            adopted[want.address] = best
    return adopted


def _unfinished(one: Object) -> int:
    lifecycle = LIFECYCLES[one.kind]
    return 0 if one.phase is lifecycle.complete else 2 if one.phase is lifecycle.failed else 1


def _go_on(want: Desired, own: Object, world: _World, policy: Policy, now: float) -> Change | None:
    """The address keeps its object: nothing to do, or the rest of its way."""
    rest = _rest(own, policy, now)
    note = _label_note(want, own)
    action, reason = rest.action, rest.reason
    if rest is _COMPLETE:
        if world.has_news_of(own):
            action, reason = Action.RESUME, f"the service says that it is {own.phase}"
        elif note is None:
            return None
    return Change(
        want.address,
        want.kind,
        action,
        reason,
        want.digest,
        steps=rest.steps,
        oid=own.oid if rest.same_object else None,
        replaced=None if rest.same_object else own.oid,
        trouble=rest.trouble,
        note=note,
        waits=rest.waits,
    )


def _take_over(want: Desired, found: Object, world: _World, policy: Policy, now: float) -> Change:
    """The address takes over a remembered object, and the rest of its way where it is not complete."""
    rest = _rest(found, policy, now)
    source = world.addresses.get(found.oid)
    bound = world.realised.bindings.get(want.address)
    reason = "realised before and remembered" if source is None else f"same content as {source}"
    return Change(
        want.address,
        want.kind,
        Action.ADOPT,
        reason if rest is _COMPLETE else f"{reason}; {rest.reason}",
        want.digest,
        steps=rest.steps,
        oid=found.oid if rest.same_object else None,
        replaced=bound,
        moved_from=source,
        trouble=rest.trouble,
        note=_label_note(want, found),
        waits=rest.waits,
    )


@dataclass(frozen=True, slots=True)
class _Rest:
    """What remains to be done with an object. ``same_object`` is false where a new one has to take its place."""

    action: Action
    reason: str
    steps: tuple[Step, ...] = ()
    trouble: Trouble | None = None
    waits: bool = False
    same_object: bool = True


_COMPLETE = _Rest(Action.NONE, "up to date")
"""What remains of nearly every object of a large catalogue, so it is made once."""


def _rest(one: Object, policy: Policy, now: float) -> _Rest:
    lifecycle = LIFECYCLES[one.kind]
    waits = lifecycle.waiting is not None
    if one.phase is lifecycle.complete:
        return _COMPLETE
    if one.phase is not lifecycle.failed:
        steps = lifecycle.remaining(one.phase)
        if (
            UPLOAD in steps
            and one.phase is Phase.RECORDED
            and (one.expires is None or one.expires < now + UPLOAD_MARGIN)
        ):
            return _Rest(Action.RESUME, "recorded, but its upload URL has expired", lifecycle.steps, waits=waits)
        return _Rest(Action.RESUME, f"is {one.phase}", steps, waits=waits)
    failure = f"failed: {one.error}" if one.error else "failed"
    if lifecycle.retry is not None and (policy.retry_failed or one.attempts < policy.retries):
        again = f"{failure} (retry {one.attempts + 1})"
        return _Rest(Action.RETRY, again, (lifecycle.retry,), waits=waits)
    if policy.retry_failed:
        return _Rest(Action.RECREATE, failure, lifecycle.steps, waits=waits, same_object=False)
    if one.attempts:
        failure += f" (after {one.attempts} {'retry' if one.attempts == 1 else 'retries'})"
    return _Rest(Action.NONE, failure, trouble=Trouble.FAILED)


def _make(
    want: Desired,
    world: _World,
    decided: Mapping[str, Change],
    doubts: tuple[tuple[Intent, Subject], ...],
    other_names: OtherNames,
    anew: Set[str],
) -> Change:
    """Nothing realised will do: a new object, unless something stands in its way."""
    lifecycle = LIFECYCLES[want.kind]
    bound = world.bound(want.address)
    replaced = None if bound is None else bound.oid
    for parent in want.parents:
        obstacle = decided.get(parent)
        if obstacle is not None and obstacle.trouble is not None:
            reason = f"waits for {parent}, which {_plight(obstacle)}"
            return Change(
                want.address, want.kind, Action.NONE, reason, want.digest, replaced=replaced, trouble=Trouble.BLOCKED
            )
    if doubts:
        reason = (
            "an earlier apply may have started it, and did not hear the answer; it is not started twice by itself: "
            f"`glossi-sync resolve {want.address} --adopt JOB-ID` or `--again`"
        )
        return Change(
            want.address,
            want.kind,
            Action.NONE,
            reason,
            want.digest,
            replaced=replaced,
            trouble=Trouble.HELD,
            doubts=doubts,
        )
    if bound is None:
        action, reason = Action.CREATE, "not realised"
    elif bound.digest != want.digest:
        of_names = bound.digest == other_names.digest(want.address)
        action, reason = Action.REPLACE, other_names.reason if of_names else "its inputs changed"
    elif want.address in anew and anew.isdisjoint(want.parents):
        action, reason = Action.RECREATE, "to be made anew, as asked for"
    elif bound.phase is Phase.LOST:
        action, reason = Action.RECREATE, "the service no longer knows it"
    else:
        action, reason = Action.RECREATE, "what it was made from has to be made again"
    return Change(
        want.address,
        want.kind,
        action,
        reason,
        want.digest,
        steps=lifecycle.steps,
        replaced=replaced,
        waits=lifecycle.waiting is not None,
    )


def _plight(obstacle: Change) -> str:
    return {Trouble.FAILED: "failed", Trouble.BLOCKED: "is blocked", Trouble.HELD: "is held"}[
        obstacle.trouble or Trouble.FAILED
    ]


def _doubts(
    want: Desired, world: _World, desired: Mapping[str, Desired], provided: Collection[str]
) -> tuple[tuple[Intent, Subject], ...]:
    """What may have realised ``want`` already: calls in doubt, each with the subject that has its digest.

    They were for this address (those come first), or for one that does not need their outcome any more: it has gone,
    has another digest now, or is ``provided`` for by another object. So a render that was renamed is held like any.
    """
    found: list[tuple[Intent, Subject]] = []
    for intent, subject in world.starts_in_doubt.get(want.digest, ()):
        other = desired.get(subject.address)
        needed = other is not None and other.digest == subject.digest and subject.address not in provided
        if subject.address == want.address or not needed:
            found.append((intent, subject))
    return tuple(sorted(found, key=lambda one: one[1].address != want.address))


def _label_note(want: Desired, own: Object) -> str | None:
    if want.label is None or own.label is None or want.label == own.label:
        return None
    return f"stays named {own.label!r} at the service, which cannot rename ({want.label!r} in the spec)"


def _let_go(address: str, world: _World) -> Change:
    """The address is no longer in the spec: its binding goes, its object stays remembered."""
    kind = kind_of(address)
    oid = world.realised.bindings[address]
    if kind is Kind.WEBHOOK and not (world.observed.asked_webhook and world.observed.webhook is None):
        return Change(address, kind, Action.REMOVE, "no longer in the spec", steps=(DELETE,), oid=oid)
    return Change(address, kind, Action.FORGET, "no longer in the spec; its object stays remembered", oid=oid)


def _unheard_webhook(desired: Mapping[str, Desired], world: _World) -> list[Change]:
    """A webhook that has left the spec before anybody heard that it was set, and that is there now."""
    there = world.observed.webhook
    if there is None or WEBHOOK_ADDRESS in desired or WEBHOOK_ADDRESS in world.realised.bindings:
        return []
    asked_for = {one.subjects[0].digest for one in world.realised.in_doubt if one.step == PUT.name}
    if there.digest() not in asked_for:
        return []
    reason = "no longer in the spec; an earlier apply has set it, and did not hear the answer"
    return [Change(WEBHOOK_ADDRESS, Kind.WEBHOOK, Action.REMOVE, reason, there.digest(), steps=(DELETE,))]


def _is_asked_again(doubt: Intent, desired: Mapping[str, Desired], world: _World, policy: Policy) -> bool:
    """Whether a call in doubt is over with this plan: what it was for is asked again, or is known not to matter."""
    if doubt.step == START.name:
        return policy.ask_again
    if doubt.step == PUT.name and WEBHOOK_ADDRESS not in world.realised.bindings:
        # Until the state has the webhook, the doubt is all that tells of it: a PUT settles it, or a look there.
        want, there = desired.get(WEBHOOK_ADDRESS), world.observed.webhook
        known = want is None or there is None or there.digest() == want.digest
        return world.observed.asked_webhook and known
    return True


def _decide_webhook(want: Desired, world: _World, anew: Set[str]) -> Change | None:
    """The one mutable thing: compared field by field with what the service has now."""
    assert isinstance(want.inputs, Webhook)
    bound = world.bound(want.address)
    oid = None if bound is None else bound.oid
    observed = world.observed
    if not observed.asked_webhook:
        if bound is not None and bound.digest == want.digest:
            return None
        return Change(want.address, want.kind, Action.UPDATE, "its fields changed", want.digest, steps=(PUT,), oid=oid)
    if observed.webhook is None:
        action = Action.CREATE if bound is None else Action.RECREATE
        reason = "not realised" if bound is None else "the service no longer has it"
        return Change(want.address, want.kind, action, reason, want.digest, steps=(PUT,), oid=oid)
    diff = webhook_differences(observed.webhook, want.inputs)
    if diff or want.address in anew:
        reason = "differs at the service" if diff else "to be set anew, as asked for"
        return Change(want.address, want.kind, Action.UPDATE, reason, want.digest, steps=(PUT,), oid=oid, diff=diff)
    if bound is None or bound.digest != want.digest:
        return Change(want.address, want.kind, Action.ADOPT, "the service has exactly this one", want.digest, oid=oid)
    return None


def webhook_differences(now: Webhook, want: Webhook) -> tuple[Difference, ...]:
    """The fields in which a webhook differs from the one that is wanted; a description that is not wanted is none."""
    differences = []
    if now.url != want.url:
        differences.append(Difference("url", _url_difference(now.url, want.url)))
    if set(now.events) != set(want.events):
        gone, new = sorted(set(now.events) - set(want.events)), sorted(set(want.events) - set(now.events))
        differences.append(Difference("events", " ".join([*(f"-{one}" for one in gone), *(f"+{one}" for one in new)])))
    if now.enabled != want.enabled:
        differences.append(Difference("enabled", f"{now.enabled} -> {want.enabled}".lower()))
    if want.description is not None and now.description != want.description:
        differences.append(Difference("description", f"{now.description!r} -> {want.description!r}"))
    return tuple(differences)


def _url_difference(now: str, want: str) -> str:
    """A receiver's URL may be all that keeps strangers from it, and plans are posted where many read them: what a
    person needs to see is where it leads.
    """
    there, here = _origin(now), _origin(want)
    return f"{there} -> {here}" if there != here else f"{here}, with another path or query"


def _origin(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "no URL"
    return f"{scheme}://{re.split('[/?#]', rest)[0].rpartition('@')[2]}"
