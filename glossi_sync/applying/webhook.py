"""Taking the webhook's steps: put, or delete (guide, Step 6; service facts, "Webhooks")."""

from __future__ import annotations

from collections.abc import Sequence

from glossi_sync.applying.context import Context
from glossi_sync.applying.events import Noted, Reached, StepTaken
from glossi_sync.planning.change import Change
from glossi_sync.planning.explain import inputs_of
from glossi_sync.resources import Kind, Phase, Webhook
from glossi_sync.resources.webhook import DELETE, PUT
from glossi_sync.service import StoredWebhook
from glossi_sync.state import Bind, Object, PutObject, Settle, Subject, Unbind, Write


async def realise(change: Change, context: Context) -> None:
    """Set the webhook, or remove it.

    Raises:
        ServiceError, StateError, Stopped, OSError: as the step raises them; OSError where its secret cannot be kept.
    """
    if PUT in change.steps:
        await _put(change, context)
    if DELETE in change.steps:
        await _delete(change, context)


async def _put(change: Change, context: Context) -> None:
    want = context.desired[change.address]
    assert isinstance(want.inputs, Webhook)
    webhook = want.inputs
    former = context.started(change)

    def record(stored: StoredWebhook) -> Sequence[Write]:
        kept: tuple[Write, ...] = ()
        if stored.secret:
            where, kept = context.keep_secret(stored.secret)
            context.emit(Noted(change.address, f"its secret, which the service shows only once, is kept in {where}"))
        one = Object(
            oid=former.oid if former is not None else context.ledger.new_id(),
            kind=Kind.WEBHOOK,
            digest=want.digest,
            phase=Phase.SET,
            remote_id=stored.id,
            since=context.ledger.clock(),
        )
        # Earlier PUTs that nobody heard of: whatever they did, this one is in their place.
        now = context.ledger.clock()
        former_doubts = [doubt for doubt in context.ledger.in_doubt if doubt.step == PUT.name]
        settled = [Settle(doubt.call_id, "in doubt, asked again", now) for doubt in former_doubts]
        return [PutObject(one, inputs=inputs_of(want)), Bind(change.address, one.oid), *settled, *kept]

    subjects = [context.subject(change.address)]
    stored = await context.ledger.call(PUT, subjects, lambda: context.service.put_webhook(webhook), record)
    context.emit(StepTaken(change.address, PUT.name, stored.id))
    context.emit(Reached(change.address, Phase.SET))


async def _delete(change: Change, context: Context) -> None:
    one = context.ledger.object(context.ledger.bound_to(change.address))
    removal = await context.ledger.call(
        DELETE,
        [Subject(change.address, one.digest)],
        context.service.delete_webhook,
        lambda _: [Unbind(change.address)],
    )
    context.emit(StepTaken(change.address, DELETE.name, one.remote_id))
    if not removal:
        context.emit(Noted(change.address, f"{removal.reason}; it is forgotten here"))
