"""Taking a project's one step: create (guide, Step 3).

Projects that declare no name are made by ``createPerModel``, many in one call, and matched to their models by the
``modelIds`` of the answer; a project with a name or with several models takes a call of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from glossi_sync.applying.context import Context
from glossi_sync.applying.events import Reached, StepTaken
from glossi_sync.planning.change import Change
from glossi_sync.planning.explain import inputs_of
from glossi_sync.resources import Kind, Phase, Project
from glossi_sync.resources.project import CREATE
from glossi_sync.service import CreatedProject
from glossi_sync.state import Bind, Object, PutObject, Write


async def realise(change: Change, context: Context) -> None:
    """Create the project, where that is planned.

    Raises:
        ServiceError, StateError, Stopped: as the step raises them.
    """
    if CREATE in change.steps:
        batcher = context.batcher(change.address, CREATE)
        if batcher is None:
            await _create(change, context)
        else:
            await batcher.submit(change)
    context.emit(Reached(change.address, Phase.CREATED))


async def create_per_model(changes: Sequence[Change], context: Context) -> list[None]:
    """Create many projects of one model each, on one template, in one call.

    Where an answer names a part of them, the rest alone is asked for again.
    """
    by_model = {context.ledger.remote_id(context.desired[change.address].parents[0]): change for change in changes}
    template_id = _project(changes[0].address, context).template_id
    made: dict[str, CreatedProject] = {}

    def record(created: Sequence[CreatedProject]) -> list[Write]:
        made.update((one.model_ids[0], one) for one in created)
        return [write for one in created for write in _created(by_model[one.model_ids[0]], one, context)]

    await context.ledger.call(
        CREATE,
        [context.subject(change.address) for change in changes],
        lambda: context.service.create_projects([one for one in by_model if one not in made], template_id),
        record,
    )
    for model_id, one in made.items():
        context.emit(StepTaken(by_model[model_id].address, CREATE.name, one.project_id))
    return [None] * len(changes)


async def _create(change: Change, context: Context) -> None:
    want = context.desired[change.address]
    model_ids = [context.ledger.remote_id(parent) for parent in want.parents]
    template_id = _project(change.address, context).template_id
    created = await context.ledger.call(
        CREATE,
        [context.subject(change.address)],
        lambda: context.service.create_project(model_ids, template_id, want.label),
        lambda created: _created(change, created, context),
    )
    context.emit(StepTaken(change.address, CREATE.name, created.project_id))


def _created(change: Change, created: CreatedProject, context: Context) -> list[Write]:
    want = context.desired[change.address]
    one = Object(
        oid=context.ledger.new_id(),
        kind=Kind.PROJECT,
        digest=want.digest,
        phase=Phase.CREATED,
        label=created.name,
        remote_id=created.project_id,
        parents=tuple(context.ledger.bound_to(parent) for parent in want.parents),
        since=context.ledger.clock(),
    )
    return [PutObject(one, inputs=inputs_of(want)), Bind(change.address, one.oid)]


def _project(address: str, context: Context) -> Project:
    inputs = context.desired[address].inputs
    assert isinstance(inputs, Project)
    return inputs
